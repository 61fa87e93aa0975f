"""The machine as a whole: what virtual hardware there is finds its driver.

The image leaves out the drivers of hardware that no virtual machine has (docs/size.md);
this says that it left out no more.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from toiplab.exam.registry import Fact, agree, check, few
from toiplab.exam.subject import Subject

LOST = re.compile(r"Module (\S+) not found")
INSMOD = re.compile(r"^insmod \S*/([^/\s]+?)\.ko", re.MULTILINE)
NEEDED = re.compile(r"^needed (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Device:
    """A virtual device, as a user would name it, and the module alias its bus makes of it."""

    name: str
    alias: str


def _pci(name: str, vendor: int, device: int, kind: str = "000000") -> Device:
    """A device on PCI, with its ids and its class: base, subclass, interface."""
    base, sub, interface = kind[:2], kind[2:4], kind[4:]
    alias = f"pci:v{vendor:08X}d{device:08X}sv00000000sd00000000bc{base}sc{sub}i{interface}"
    return Device(name, alias)


def _virtio(name: str, device: int) -> Device:
    return Device(name, f"virtio:d{device:08X}v00001AF4")


# The ids are those of VirtualBox's, VMware's and QEMU's own device models; modules.alias(5).
DEVICES = (
    _pci("Intel PRO/1000 MT Desktop", 0x8086, 0x100E, "020000"),
    _pci("Intel PRO/1000 T Server", 0x8086, 0x1004, "020000"),
    _pci("Intel PRO/1000 MT Server", 0x8086, 0x100F, "020000"),
    _pci("Intel 82574L", 0x8086, 0x10D3, "020000"),
    _pci("PCnet", 0x1022, 0x2000, "020000"),
    _pci("vmxnet3", 0x15AD, 0x07B0, "020000"),
    _pci("RTL8139", 0x10EC, 0x8139, "020000"),
    _pci("virtio", 0x1AF4, 0x1000),
    _virtio("virtio network", 1),
    _virtio("virtio disk", 2),
    _virtio("virtio console", 3),
    _virtio("virtio memory balloon", 5),
    _virtio("virtio SCSI", 8),
    _virtio("virtio 9P", 9),
    _virtio("virtio GPU", 16),
    _virtio("virtio input", 18),
    _pci("AHCI", 0x8086, 0x2829, "010601"),
    _pci("PIIX4 IDE", 0x8086, 0x7111, "01018A"),
    _pci("LsiLogic SCSI", 0x1000, 0x0030, "010000"),
    _pci("LsiLogic SAS", 0x1000, 0x0054, "010000"),
    _pci("BusLogic SCSI", 0x104B, 0x1040, "010000"),
    _pci("NVMe", 0x80EE, 0x4E56, "010802"),
    _pci("VMware SCSI", 0x15AD, 0x07C0, "010000"),
    _pci("53C895A", 0x1000, 0x0012, "010000"),
    _pci("VBoxVGA", 0x80EE, 0xBEEF, "030000"),
    _pci("VMSVGA", 0x15AD, 0x0405, "030000"),
    _pci("QEMU's VGA", 0x1234, 0x1111, "030000"),
    _pci("QXL", 0x1B36, 0x0100, "030000"),
    _pci("VirtualBox's guest service", 0x80EE, 0xCAFE, "088000"),
    _pci("VMware's VMCI", 0x15AD, 0x0740, "088000"),
    _pci("OHCI", 0x106B, 0x003F, "0C0310"),
    _pci("UHCI", 0x8086, 0x7020, "0C0300"),
    _pci("EHCI", 0x8086, 0x265C, "0C0320"),
    _pci("xHCI", 0x8086, 0x1E31, "0C0330"),
    _pci("PIIX4 power management", 0x8086, 0x7113, "068000"),
    _pci("AC'97 sound", 0x8086, 0x2415, "040100"),
    _pci("HD Audio sound", 0x8086, 0x2668, "040300"),
    _pci("ES1371 sound", 0x1274, 0x1371, "040100"),
    Device("USB keyboard or mouse", "usb:v80EEp0021d0100dc00dsc00dp00ic03isc01ip02in00"),
    Device("USB disk", "usb:v0781p5567d0100dc00dsc00dp00ic08isc06ip50in00"),
    Device("PS/2 mouse", "serio:ty01pr00id00ex00"),
)

COMMAND = (
    f"said=$(modprobe -aD {shlex.join(device.alias for device in DEVICES)} 2>&1); "
    'sort -u <<<"$said"; sed -n "s/^insmod \\([^ ]*\\).*/\\1/p" <<<"$said" | sort -u | '
    'xargs modinfo -F depends | tr , "\\n" | sort -u | sed "s/^/needed /"'
)


@check("whole", "every card of VirtualBox, VMware and QEMU finds its driver, whole")
def drivers(subject: Subject) -> str:
    """modprobe(8) resolves each device's alias, and has all modules that the drivers need."""
    said = subject.ask_one(COMMAND)
    lost = set(LOST.findall(said))
    modules = {_plain(name) for name in INSMOD.findall(said)}
    lacking = {_plain(name) for name in NEEDED.findall(said)} - modules
    agree(
        Fact("without a driver", [], few([d.name for d in DEVICES if d.alias in lost])),
        Fact("modules that drivers lack", [], few(sorted(lacking))),
        Fact("drivers found", True, bool(modules)),
    )
    return f"{len(DEVICES)} devices, {len(modules)} modules"


def _plain(module: str) -> str:
    """A module's name as the kernel has it: a dash in a file's name is an underscore."""
    return module.replace("-", "_")


CHECKS = (drivers,)
