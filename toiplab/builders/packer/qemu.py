"""The qemu source of the template: VirtualBox's hardware, as arguments of qemu(1)."""

from __future__ import annotations

import os
from pathlib import Path

from toiplab.builders.packer.client import Plugin
from toiplab.hardware import ADAPTER_SLOTS, Hardware, NatAdapter
from toiplab.machine.accelerator import Accelerator
from toiplab.machine.commandline import (
    ACCELERATION,
    AHCI_SLOT,
    EmptyLan,
    escape,
    mac_address,
    netdev_name,
)

SOURCE = "qemu.toip-lab"
PLUGIN = Plugin("github.com/hashicorp/qemu", "v1.1.0")
PROGRAMS = ("qemu-system-x86_64", "qemu-img", "e2fsck")
CPUS = 2  # the installation is faster with two; the appliance's own number is in its OVF


def cpus() -> int:
    """How many processors the machine that is built in has."""
    return min(CPUS, os.cpu_count() or 1)


def arguments(
    hardware: Hardware, accelerator: Accelerator, *, iso: Path, console: Path
) -> list[list[str]]:
    """What replaces, or is added to, the arguments that Packer gives QEMU.

    Words in double braces are Packer's to fill in. ``iso`` is in the optical drive;
    ``console`` is the file that the serial port's output goes to.
    """
    acceleration = ACCELERATION[accelerator]
    drive = "if=none,id=disk,file={{ .OutputDir }}/{{ .Name }},format=qcow2"
    options = [
        ["-machine", "pc"],
        ["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"],
        *(list(pair) for pair in zip(acceleration[::2], acceleration[1::2], strict=True)),
        ["-rtc", "base=utc"],
        # a host that crashes means a new build, so nothing need reach its disk at once
        ["-drive", f"{drive},cache=unsafe,discard=unmap"],
        ["-device", f"ahci,id=sata,addr={AHCI_SLOT:#x}"],
        ["-device", "ide-hd,bus=sata.0,drive=disk"],
        # Packer puts it among the -drive options, which are replaced here
        ["-cdrom", escape(str(iso))],
        ["-serial", f"file:{escape(str(console))}"],
    ]
    for number, adapter in enumerate(hardware.adapters, start=1):
        ident = netdev_name(number)
        # of the lab's forwards none is needed: no port of this host is taken but Packer's own
        netdev = (
            f"user,id={ident},ipv6=off,hostfwd=tcp:127.0.0.1:{{{{ .SSHHostPort }}}}-:22"
            if isinstance(adapter, NatAdapter)
            else EmptyLan().netdev(ident, adapter)
        )
        device = f"e1000,netdev={ident},mac={mac_address(number)}"
        slot = ADAPTER_SLOTS[number - 1]
        options += [["-netdev", netdev], ["-device", f"{device},addr={slot:#x},romfile="]]
    return options
