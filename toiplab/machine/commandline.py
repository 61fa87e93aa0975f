"""QEMU's command line: the hardware that VirtualBox would give the appliance.

Where the guest can see it, the layout is VirtualBox's: i440fx chipset, AHCI disk in slot
13, an empty optical drive on IDE, e1000 adapters in slots 3, 8, 9, 10. With the root bus's
ACPI hotplug on, Linux would name the adapters ens3, ens8; without, enp0s3, enp0s8.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from toiplab.hardware import ADAPTER_SLOTS, Hardware, InternalAdapter, NatAdapter
from toiplab.machine.accelerator import Accelerator

VGA_SLOT = 2
AHCI_SLOT = 13

# TCG's plain CPU lacks RDRAND, without which Debian 10's kernel waits minutes for entropy;
# VirtualBox passes the host's on.
ACCELERATION = {
    Accelerator.KVM: ["-accel", "kvm", "-cpu", "host"],
    Accelerator.TCG: ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64,+rdrand"],
}


class Lan(Protocol):
    """What internal adapters are plugged into."""

    def netdev(self, ident: str, adapter: InternalAdapter) -> str:
        """The argument of ``-netdev`` for one adapter; ``ident`` is to be its ``id=``."""


@dataclass(frozen=True)
class EmptyLan:
    """A switch with nobody else on it: the link is up, and leads nowhere."""

    def netdev(self, ident: str, adapter: InternalAdapter) -> str:
        """A port of a hub; adapters on the same internal network share one."""
        hub = zlib.crc32(adapter.network.encode()) & 0x7FFFFFFF  # -netdev wants an int32
        return f"hubport,id={ident},hubid={hub}"


@dataclass(frozen=True)
class Channels:
    """What QEMU talks through.

    ``serial`` is the stem of two FIFOs, ``.in`` to the guest and ``.out`` from it, as
    ``-chardev pipe`` takes it; ``qmp`` an inherited descriptor, a connected socket.
    """

    serial: Path
    qmp: int


@dataclass(frozen=True)
class CommandLine:
    """All that goes into one start of QEMU; ``overlay`` is the qcow2 file it may write."""

    hardware: Hardware
    overlay: Path
    serial_log: Path
    accelerator: Accelerator
    channels: Channels
    lan: Lan = field(default_factory=EmptyLan)

    def argv(self) -> list[str]:
        """The program and its arguments, qemu(1)."""
        return [
            *("qemu-system-x86_64", "-name", f"guest={escape(self.hardware.name)}"),
            *("-no-user-config", "-nodefaults", "-display", "none"),
            *("-M", "pc", "-global", "PIIX4_PM.acpi-root-pci-hotplug=off"),
            *ACCELERATION[self.accelerator],
            *("-m", str(self.hardware.memory), "-smp", str(self.hardware.cpus)),
            *("-rtc", "base=utc"),
            *("-device", f"VGA,addr={VGA_SLOT:#x}"),
            *self._disks(),
            *self._channels(),
            *self._adapters(),
        ]

    def _disks(self) -> list[str]:
        # cache=unsafe: the overlay outlives neither QEMU nor a crash of the host.
        drive = f"file={escape(str(self.overlay))},format=qcow2,cache=unsafe,discard=unmap"
        return [
            *("-drive", f"if=none,id=disk,{drive}"),
            *("-device", f"ahci,id=sata,addr={AHCI_SLOT:#x}"),
            *("-device", "ide-hd,bus=sata.0,drive=disk,bootindex=1"),
            *("-device", "ide-cd,bus=ide.1,unit=0,bootindex=2"),
        ]

    def _channels(self) -> list[str]:
        serial = escape(str(self.channels.serial))
        log = escape(str(self.serial_log))
        return [
            *("-chardev", f"socket,id=qmp,fd={self.channels.qmp}"),
            *("-mon", "chardev=qmp,mode=control"),
            *("-chardev", f"pipe,id=serial,path={serial},logfile={log},logappend=on"),
            *("-serial", "chardev:serial"),
        ]

    def _adapters(self) -> list[str]:
        words: list[str] = []
        for number, adapter in enumerate(self.hardware.adapters, start=1):
            ident = netdev_name(number)
            match adapter:
                case NatAdapter():
                    netdev = _nat(ident, adapter)
                case InternalAdapter():
                    netdev = self.lan.netdev(ident, adapter)
            device = f"e1000,netdev={ident},mac={mac_address(number)}"
            slot = ADAPTER_SLOTS[number - 1]
            words += ["-netdev", netdev, "-device", f"{device},addr={slot:#x},romfile="]
        return words


def _nat(ident: str, adapter: NatAdapter) -> str:
    forwards = (
        f"hostfwd={forward.protocol}:{forward.host_address}:{forward.host_port}"
        f"-:{forward.guest_port}"
        for forward in adapter.forwards
    )
    return ",".join([f"user,id={ident}", *forwards])


def netdev_name(number: int) -> str:
    """What QEMU calls the backend of adapter ``number``."""
    return f"net{number}"


def mac_address(number: int) -> str:
    """The address of adapter ``number``: fixed, and locally administered (IEEE 802, bit 1)."""
    return f"52:54:00:70:69:{number:02x}"


def escape(value: str) -> str:
    """A value inside QEMU's comma-separated options, where a comma is written twice."""
    return value.replace(",", ",,")
