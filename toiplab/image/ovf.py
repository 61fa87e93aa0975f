"""The OVF descriptor: the hardware, said in the way VirtualBox says it.

OVF 1.0 (DMTF DSP0243) has the generic part, which any hypervisor reads; what OVF cannot
say (port forwards, boot order, empty drive, clock) stands in ``vbox:Machine``, the
machine's settings in VirtualBox's own format, in the settings version that VirtualBox 5.1
and everything after it reads. Elements and their order follow VirtualBox's own exports.
"""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from toiplab.errors import ToipLabError
from toiplab.hardware import ADAPTER_SLOTS, Adapter, Forward, Hardware, NatAdapter, Protocol

OVF_NAMESPACE = "http://schemas.dmtf.org/ovf/envelope/1"
CIM_NAMESPACE = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
RASD_NAMESPACE = CIM_NAMESPACE + "ResourceAllocationSettingData"
VSSD_NAMESPACE = CIM_NAMESPACE + "VirtualSystemSettingData"
VBOX_NAMESPACE = "http://www.virtualbox.org/ovf/machine"
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

DEBIAN_64 = "96"  # CIM_OperatingSystem.OSType: Debian 64-Bit
OS_TYPE = "Debian_64"  # VirtualBox's name of it (row V1)
SETTINGS_VERSION = "1.16-linux"
UDP_TCP: tuple[Protocol, Protocol] = (
    "udp",
    "tcp",
)  # VirtualBox's numbers for the protocols: 0 and 1
BOOT_POSITIONS = 4
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# CIM_ResourceAllocationSettingData.ResourceType
PROCESSOR, MEMORY, IDE, ETHERNET, DISK, OTHER_STORAGE = 3, 4, 5, 10, 17, 20


@dataclass(frozen=True)
class DiskFacts:
    """The one disk of the appliance.

    ``file_name`` is the VMDK's beside the OVF, ``size`` its length in bytes (None where a
    descriptor read does not say it), ``capacity`` the disk's in bytes, ``uuid`` the disk's.
    """

    file_name: str
    size: int | None
    capacity: int
    uuid: uuid.UUID


@dataclass(frozen=True)
class Product:
    """What a hypervisor shows of the appliance before the import; empty parts are left out."""

    name: str
    version: str = ""
    vendor: str = ""
    url: str = ""


def write(
    hardware: Hardware, disk: DiskFacts, *, product: Product | None = None, annotation: str = ""
) -> bytes:
    """The OVF descriptor of an appliance, as UTF-8 text; the same for the same arguments.

    Args:
        hardware: what the hypervisor must give.
        disk: the appliance's disk, on port 0 of the SATA controller.
        product: shown by the importer.
        annotation: free text; the machine's description in VirtualBox.

    Raises:
        ToipLabError: a text that XML cannot hold, or more adapters than VirtualBox has.
    """
    if len(hardware.adapters) > len(ADAPTER_SLOTS):
        raise ToipLabError(
            f"{hardware.name}: {len(hardware.adapters)} network adapters",
            hint=f"at most {len(ADAPTER_SLOTS)}",
        )
    # The names carry their prefixes literally: ElementTree would move every namespace
    # that it manages to prefixes of its own choice.
    envelope = ET.Element(
        "Envelope",
        {
            "ovf:version": "1.0",
            "xml:lang": "en-US",
            "xmlns": OVF_NAMESPACE,
            "xmlns:ovf": OVF_NAMESPACE,
            "xmlns:rasd": RASD_NAMESPACE,
            "xmlns:vssd": VSSD_NAMESPACE,
            "xmlns:vbox": VBOX_NAMESPACE,
        },
    )
    _references(envelope, disk)
    _networks(envelope, hardware)
    system = _add(envelope, "VirtualSystem", {"ovf:id": hardware.name})
    _add(system, "Info", text="A virtual machine")
    _product(system, product)
    _annotation(system, annotation)
    _operating_system(system)
    _virtual_hardware(system, hardware)
    _machine(system, hardware, disk, annotation)
    ET.indent(envelope)
    text = ET.tostring(envelope, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _add(
    parent: ET.Element, tag: str, attributes: dict[str, str] | None = None, *, text: str = ""
) -> ET.Element:
    for value in (text, *(attributes or {}).values()):
        found = NOT_IN_XML.search(value)
        if found:
            raise ToipLabError(f"{value!r}: the character {found[0]!r} cannot stand in an OVF")
    element = ET.SubElement(parent, tag, attributes or {})
    element.text = text or None
    return element


def _references(envelope: ET.Element, disk: DiskFacts) -> None:
    file = {"ovf:id": "file1", "ovf:href": disk.file_name}
    if disk.size is not None:
        file["ovf:size"] = str(disk.size)
    _add(_add(envelope, "References"), "File", file)
    section = _add(envelope, "DiskSection")
    _add(section, "Info", text="List of the virtual disks used in the package")
    _add(
        section,
        "Disk",
        {
            "ovf:capacity": str(disk.capacity),
            "ovf:diskId": "vmdisk1",
            "ovf:fileRef": "file1",
            "ovf:format": STREAM_OPTIMIZED,
            "vbox:uuid": str(disk.uuid),
        },
    )


def _network_name(adapter: Adapter) -> str:
    """VirtualBox's word for a kind of network: any other name would become a bridge."""
    return "NAT" if isinstance(adapter, NatAdapter) else "Internal"


def _networks(envelope: ET.Element, hardware: Hardware) -> None:
    section = _add(envelope, "NetworkSection")
    _add(section, "Info", text="Logical networks used in the package")
    for name in sorted({_network_name(adapter) for adapter in hardware.adapters}):
        network = _add(section, "Network", {"ovf:name": name})
        _add(network, "Description", text="Logical network used by this appliance.")


def _product(system: ET.Element, product: Product | None) -> None:
    if product is None:
        return
    section = _add(system, "ProductSection")
    _add(section, "Info", text="Meta-information about the installed software")
    parts = (
        ("Product", product.name),
        ("Vendor", product.vendor),
        ("Version", product.version),
        ("ProductUrl", product.url),
    )
    for tag, text in parts:
        if text:
            _add(section, tag, text=text)


def _annotation(system: ET.Element, annotation: str) -> None:
    if annotation:
        section = _add(system, "AnnotationSection")
        _add(section, "Info", text="A human-readable annotation")
        _add(section, "Annotation", text=annotation)


def _operating_system(system: ET.Element) -> None:
    section = _add(system, "OperatingSystemSection", {"ovf:id": DEBIAN_64})
    _add(section, "Info", text="The kind of installed guest operating system")
    _add(section, "Description", text=OS_TYPE)
    _add(section, "vbox:OSType", {"ovf:required": "false"}, text=OS_TYPE)


def _virtual_hardware(parent: ET.Element, hardware: Hardware) -> None:
    section = _add(parent, "VirtualHardwareSection")
    _add(section, "Info", text="Virtual hardware requirements for a virtual machine")
    system = _add(section, "System")
    _add(system, "vssd:ElementName", text="Virtual Hardware Family")
    _add(system, "vssd:InstanceID", text="0")
    _add(system, "vssd:VirtualSystemIdentifier", text=hardware.name)
    _add(system, "vssd:VirtualSystemType", text="virtualbox-2.2")
    cpus, memory = hardware.cpus, hardware.memory
    _item(section, 1, PROCESSOR, f"{cpus} virtual CPU(s)", VirtualQuantity=cpus)
    _item(
        section,
        2,
        MEMORY,
        f"{memory} MB of memory",
        AllocationUnits="MegaBytes",
        VirtualQuantity=memory,
    )
    _item(section, 3, IDE, "ideController0", Address=0, ResourceSubType="PIIX4")
    _item(section, 4, IDE, "ideController1", Address=1, ResourceSubType="PIIX4")
    _item(section, 5, OTHER_STORAGE, "sataController0", Address=0, ResourceSubType="AHCI")
    _item(
        section,
        6,
        DISK,
        "disk1",
        AddressOnParent=0,
        HostResource="ovf:/disk/vmdisk1",
        Parent=5,
    )
    for instance, adapter in enumerate(hardware.adapters, start=7):
        name = _network_name(adapter)
        _item(
            section,
            instance,
            ETHERNET,
            f"Ethernet adapter on '{name}'",
            AutomaticAllocation="true",
            Connection=name,
            ResourceSubType="E1000",
        )


def _item(
    section: ET.Element, instance: int, resource_type: int, name: str, **fields: str | int
) -> None:
    """One ``Item``: its children are in alphabetical order, as the CIM schema wants them."""
    fields |= {
        "Caption": name,
        "ElementName": name,
        "InstanceID": instance,
        "ResourceType": resource_type,
    }
    item = _add(section, "Item")
    for field, value in sorted(fields.items()):
        _add(item, f"rasd:{field}", text=str(value))


def _machine(system: ET.Element, hardware: Hardware, disk: DiskFacts, annotation: str) -> None:
    """VirtualBox's own settings; its importer takes from here what OVF does not say."""
    machine = _add(
        system,
        "vbox:Machine",
        {
            "ovf:required": "false",
            "version": SETTINGS_VERSION,
            "uuid": f"{{{uuid.uuid5(disk.uuid, hardware.name)}}}",
            "name": hardware.name,
            "OSType": OS_TYPE,
            "snapshotFolder": "Snapshots",
        },
    )
    _add(
        machine,
        "ovf:Info",
        text="Complete VirtualBox machine configuration in VirtualBox format",
    )
    if annotation:
        _add(machine, "Description", text=annotation)
    settings = _add(machine, "Hardware")
    cpu = _add(settings, "CPU", {"count": str(hardware.cpus)})
    _add(cpu, "LongMode", {"enabled": "true"})
    _add(settings, "Memory", {"RAMSize": str(hardware.memory)})
    boot = _add(settings, "Boot")
    devices = (*hardware.boot_order, *["None"] * (BOOT_POSITIONS - len(hardware.boot_order)))
    for position, device in enumerate(devices, start=1):
        _add(boot, "Order", {"position": str(position), "device": device})
    _add(settings, "Display", {"controller": "VMSVGA", "VRAMSize": "16"})
    _add(_add(settings, "BIOS"), "IOAPIC", {"enabled": "true"})
    _add(_add(settings, "USB"), "Controllers")
    network = _add(settings, "Network")
    for slot, adapter in enumerate(hardware.adapters):
        _adapter(network, slot, adapter)
    _add(
        settings,
        "AudioAdapter",
        {"driver": "Null", "enabled": "false", "enabledIn": "false", "enabledOut": "false"},
    )
    _add(settings, "RTC", {"localOrUTC": "UTC"})
    _storage(machine, disk, drives=hardware.empty_drives.count("IDE"))


def _adapter(network: ET.Element, slot: int, adapter: Adapter) -> None:
    """An Intel 82540EM (e1000), with no MAC address: VirtualBox makes one at the import."""
    element = _add(network, "Adapter", {"slot": str(slot), "enabled": "true", "type": "82540EM"})
    if not isinstance(adapter, NatAdapter):
        _add(element, "InternalNetwork", {"name": adapter.network})
        return
    nat = _add(element, "NAT")
    for forward in adapter.forwards:
        _forwarding(nat, forward)


def _forwarding(nat: ET.Element, forward: Forward) -> None:
    _add(
        nat,
        "Forwarding",
        {
            "name": forward.name,
            "proto": str(UDP_TCP.index(forward.protocol)),
            "hostip": str(forward.host_address),
            "hostport": str(forward.host_port),
            "guestport": str(forward.guest_port),
        },
    )


def _storage(machine: ET.Element, disk: DiskFacts, *, drives: int) -> None:
    controllers = _add(machine, "StorageControllers")
    ide = {"name": "IDE", "type": "PIIX4", "PortCount": "2", "Bootable": "true"}
    controller = _add(controllers, "StorageController", ide)
    for port in range(drives):
        drive = {"type": "DVD", "passthrough": "false", "port": str(port), "device": "0"}
        _add(controller, "AttachedDevice", drive)
    sata = {"name": "SATA", "type": "AHCI", "PortCount": "1", "Bootable": "true"}
    attached = _add(
        _add(controllers, "StorageController", sata),
        "AttachedDevice",
        {"type": "HardDisk", "port": "0", "device": "0"},
    )
    _add(attached, "Image", {"uuid": f"{{{disk.uuid}}}"})
