"""Reading an OVF descriptor back: ours, or that of an appliance VirtualBox exported.

Only what the project can give a machine is taken; anything else is refused by name, for
a machine that lacks a part of its description would be examined as something it is not.
"""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from ipaddress import IPv4Address

from defusedxml import ElementTree

from toiplab.errors import ToipLabError
from toiplab.hardware import Adapter, Forward, Hardware, InternalAdapter, NatAdapter
from toiplab.image.ovf import (
    MEMORY,
    OS_TYPE,
    OVF_NAMESPACE,
    PROCESSOR,
    RASD_NAMESPACE,
    STREAM_OPTIMIZED,
    UDP_TCP,
    VBOX_NAMESPACE,
    DiskFacts,
)

PREFIXES = {"ovf": OVF_NAMESPACE, "rasd": RASD_NAMESPACE, "vbox": VBOX_NAMESPACE}
DEFAULT_BOOT_ORDER = ("Floppy", "DVD", "HardDisk")  # VirtualBox's own, where nothing is said
DIGITS = re.compile(r"[0-9]{1,20}")
IDE_CONTROLLERS = ("PIIX3", "PIIX4", "ICH6")
PORT_MAX = 65535
ANY_ADDRESS = IPv4Address(0)  # what VirtualBox means by no address


@dataclass(frozen=True)
class Descriptor:
    """What an OVF descriptor says: the machine, and its one disk."""

    hardware: Hardware
    disk: DiskFacts


def read(text: bytes, *, source: str) -> Descriptor:
    """Read an OVF descriptor.

    Args:
        text: the descriptor.
        source: the file it came from, for messages.

    Raises:
        ToipLabError: naming the file and the element that is missing or wrong.
    """
    try:
        root = ElementTree.fromstring(text)
    except (ET.ParseError, ValueError, LookupError) as error:  # the last two: its encoding
        raise ToipLabError(f"{source}: not well-formed XML: {error}") from error
    if root.tag != f"{{{OVF_NAMESPACE}}}Envelope":
        raise ToipLabError(f"{source}: not an OVF descriptor: its root is not an Envelope")
    document = _Document(source)
    disk = _disk(document, root)
    system = document.one(root, "ovf:VirtualSystem")
    machine = document.one(system, "vbox:Machine")
    settings = document.one(machine, "ovf:Hardware")
    _check_os(document, system, machine)
    _check_disk_attachment(document, machine, disk)
    hardware = Hardware(
        name=document.text(machine, "name"),
        memory=_memory(document, system, settings),
        cpus=_cpus(document, system, settings),
        adapters=_adapters(document, settings),
        boot_order=_boot_order(document, settings),
        empty_drives=_empty_drives(document, machine),
    )
    return Descriptor(hardware, disk)


class _Document:
    """Finds elements and attributes; what is missing or wrong becomes the one clear error."""

    def __init__(self, source: str) -> None:
        self.source = source

    def error(self, element: ET.Element, what: str) -> ToipLabError:
        return ToipLabError(
            f"{self.source}: {_local_name(element)}: {what}",
            hint="import an OVA that this project built, or that VirtualBox exported of one",
        )

    def one(self, parent: ET.Element, path: str) -> ET.Element:
        """The one element at ``path``."""
        found = parent.findall(path, PREFIXES)
        if len(found) != 1:
            name = path.rsplit("/", maxsplit=1)[-1].removeprefix("ovf:")
            raise self.error(parent, f"{len(found)} elements {name}, there must be one")
        return found[0]

    def text(self, element: ET.Element, name: str) -> str:
        """An attribute; ``ovf:…`` and ``vbox:…`` name one with a namespace."""
        prefix, _, local = name.rpartition(":")
        value = element.get(f"{{{PREFIXES[prefix]}}}{local}" if prefix else name)
        if value is None:
            raise self.error(element, f"no attribute {name}")
        return value

    def number(self, element: ET.Element, name: str, *, low: int = 0, high: int = 1 << 63) -> int:
        """An attribute that is a whole number within bounds."""
        return self.whole(element, name, self.text(element, name), low=low, high=high)

    def whole(self, element: ET.Element, name: str, text: str, *, low: int, high: int) -> int:
        if not (DIGITS.fullmatch(text) and low <= int(text) <= high):
            raise self.error(element, f"{name}={text!r} is no number from {low} to {high}")
        return int(text)

    def uuid(self, element: ET.Element, name: str) -> uuid.UUID:
        """An attribute that is a uuid, in braces or not."""
        text = self.text(element, name)
        try:
            return uuid.UUID(text)
        except ValueError:
            raise self.error(element, f"{name}={text!r} is no uuid") from None


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _disk(document: _Document, root: ET.Element) -> DiskFacts:
    file = document.one(root, "ovf:References/ovf:File")
    disk = document.one(root, "ovf:DiskSection/ovf:Disk")
    if document.text(disk, "ovf:fileRef") != document.text(file, "ovf:id"):
        raise document.error(disk, "its fileRef is not the id of the File")
    if document.text(disk, "ovf:format") != STREAM_OPTIMIZED:
        raise document.error(disk, "its format is not that of a streamOptimized VMDK")
    size = f"{{{OVF_NAMESPACE}}}size"
    return DiskFacts(
        file_name=document.text(file, "ovf:href"),
        size=document.number(file, "ovf:size") if size in file.attrib else None,
        capacity=document.number(disk, "ovf:capacity", low=1),
        uuid=document.uuid(disk, "vbox:uuid"),
    )


def _check_os(document: _Document, system: ET.Element, machine: ET.Element) -> None:
    """Row V1: what VirtualBox shows before the import, and what the machine gets."""
    shown = document.one(system, "ovf:OperatingSystemSection/vbox:OSType")
    for element, os_type in ((machine, document.text(machine, "OSType")), (shown, shown.text)):
        # VirtualBox 7 knows Debian's releases apart: Debian10_64, Debian11_64.
        if not re.fullmatch(r"Debian\d*_64", os_type or ""):
            raise document.error(element, f"OSType={os_type!r}, it must be {OS_TYPE}")


def _boot_order(document: _Document, settings: ET.Element) -> tuple[str, ...]:
    """What is booted from, first to last (row V2)."""
    orders = settings.findall("ovf:Boot/ovf:Order", PREFIXES)
    if not orders:
        return DEFAULT_BOOT_ORDER
    orders.sort(key=lambda order: document.number(order, "position", low=1))
    devices = (document.text(order, "device") for order in orders)
    return tuple(device for device in devices if device != "None")


def _empty_drives(document: _Document, machine: ET.Element) -> tuple[str, ...]:
    """The bus of each optical drive without a disc (row V3)."""
    kinds = (
        document.text(controller, "type")
        for controller in machine.findall(".//ovf:StorageController", PREFIXES)
        for drive in controller.findall("ovf:AttachedDevice[@type='DVD']", PREFIXES)
        if not list(drive)  # a disc would be its child: Image or HostDrive
    )
    return tuple("IDE" if kind in IDE_CONTROLLERS else kind for kind in kinds)


def _check_disk_attachment(document: _Document, machine: ET.Element, disk: DiskFacts) -> None:
    """The disk must hang on port 0 of an AHCI controller, under the uuid it is listed with."""
    controllers = machine.findall(".//ovf:StorageController", PREFIXES)  # moved in 1.19
    disks = [
        (controller, attached)
        for controller in controllers
        for attached in controller.findall("ovf:AttachedDevice[@type='HardDisk']", PREFIXES)
    ]
    if len(disks) != 1:
        raise document.error(machine, f"{len(disks)} hard disks attached, there must be one")
    controller, attached = disks[0]
    if controller.get("type") != "AHCI" or attached.get("port") != "0":
        raise document.error(attached, "the hard disk is not on port 0 of an AHCI controller")
    image = document.one(attached, "ovf:Image")
    if document.uuid(image, "uuid") != disk.uuid:
        raise document.error(image, f"its uuid is not the Disk's vbox:uuid, {disk.uuid}")


def _quantity(document: _Document, system: ET.Element, resource_type: int) -> int:
    item = document.one(
        system, f"ovf:VirtualHardwareSection/ovf:Item[rasd:ResourceType='{resource_type}']"
    )
    quantity = document.one(item, "rasd:VirtualQuantity")
    return document.whole(quantity, "VirtualQuantity", quantity.text or "", low=1, high=1 << 31)


def _cpus(document: _Document, system: ET.Element, settings: ET.Element) -> int:
    cpus = _quantity(document, system, PROCESSOR)
    cpu = document.one(settings, "ovf:CPU")
    count = document.number(cpu, "count") if "count" in cpu.attrib else 1
    if count != cpus:
        raise document.error(cpu, f"count={count}, the VirtualHardwareSection says {cpus}")
    return cpus


def _memory(document: _Document, system: ET.Element, settings: ET.Element) -> int:
    memory = _quantity(document, system, MEMORY)
    element = document.one(settings, "ovf:Memory")
    size = document.number(element, "RAMSize")
    if size != memory:
        raise document.error(element, f"RAMSize={size}, the VirtualHardwareSection says {memory}")
    return memory


def _adapters(document: _Document, settings: ET.Element) -> tuple[Adapter, ...]:
    elements = [
        element
        for element in settings.findall("ovf:Network/ovf:Adapter", PREFIXES)
        if element.get("enabled", "false") == "true"
    ]
    elements.sort(key=lambda element: document.number(element, "slot"))
    for slot, element in enumerate(elements):
        if document.number(element, "slot") != slot:
            raise document.error(element, f"slot {slot} is not in use, but a later one is")
    return tuple(_adapter(document, element) for element in elements)


def _adapter(document: _Document, element: ET.Element) -> Adapter:
    if document.text(element, "type") != "82540EM":
        raise document.error(element, f"type={element.get('type')!r}, it must be 82540EM")
    nat = element.find("ovf:NAT", PREFIXES)
    if nat is not None:
        found = nat.findall("ovf:Forwarding", PREFIXES)
        return NatAdapter(tuple(_forward(document, forwarding) for forwarding in found))
    internal = element.find("ovf:InternalNetwork", PREFIXES)
    if internal is not None:
        return InternalAdapter(document.text(internal, "name"))
    raise document.error(element, "neither NAT nor InternalNetwork: no other kind is supported")


def _forward(document: _Document, element: ET.Element) -> Forward:
    address = element.get("hostip", "")
    try:
        host_address = IPv4Address(address) if address else ANY_ADDRESS
    except ValueError:
        raise document.error(element, f"hostip={address!r} is no IPv4 address") from None
    return Forward(
        name=document.text(element, "name"),
        protocol=UDP_TCP[document.number(element, "proto", high=1)],
        host_address=host_address,
        host_port=document.number(element, "hostport", low=1, high=PORT_MAX),
        guest_port=document.number(element, "guestport", low=1, high=PORT_MAX),
    )
