"""The rules of OVF that an importer may insist on: DMTF DSP0243 1.1 and its schemas.

``ovf_reader`` takes from a descriptor what the project needs; here it is held to the format
itself, so that what VirtualBox happens to forgive is not shipped to others. Sections in the
docstrings are DSP0243's; dsp8023 is the schema of the envelope, and CIM's schemas those of
``Item`` (rasd) and ``System`` (vssd).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from defusedxml import ElementTree

from toiplab.errors import ToipLabError
from toiplab.image.ovf import (
    DISK,
    ETHERNET,
    MEMORY,
    OVF_NAMESPACE,
    PROCESSOR,
    RASD_NAMESPACE,
    VSSD_NAMESPACE,
)

OVF, RASD, VSSD = (f"{{{name}}}" for name in (OVF_NAMESPACE, RASD_NAMESPACE, VSSD_NAMESPACE))
CONTROLLERS = {5: "IDE", 6: "SCSI", 20: "storage"}
# CIM_ResourceAllocationSettingData.ResourceType, 1 to 33; 35 is VirtualBox's sound card.
RESOURCE_TYPES = {*range(1, 34), 35}
VERSION = re.compile(r"1\.[0-9]+(\.[0-9]+)?")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
PLAIN_NAME = re.compile(r"[^/\\:]+")
HOST_RESOURCE = re.compile(r"(?:ovf:)?/(disk|file)/(.+)")
NETWORKS = {"NAT", "Internal"}
NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True)
class Envelope:
    """A descriptor to be judged: its root element, and what is looked at again and again."""

    root: ET.Element

    @property
    def files(self) -> list[ET.Element]:
        """The files of the package."""
        return self.root.findall(f"{OVF}References/{OVF}File")

    @property
    def disks(self) -> list[ET.Element]:
        """The virtual disks."""
        return self.root.findall(f"{OVF}DiskSection/{OVF}Disk")

    @property
    def systems(self) -> list[ET.Element]:
        """The virtual systems."""
        return self.root.findall(f"{OVF}VirtualSystem")

    @property
    def items(self) -> list[ET.Element]:
        """The devices of the virtual hardware."""
        path = f"{OVF}VirtualSystem/{OVF}VirtualHardwareSection/{OVF}Item"
        return self.root.findall(path)

    @property
    def sections(self) -> list[ET.Element]:
        """All sections: those of the envelope, and those of the systems."""
        return [
            child
            for parent in (self.root, *self.systems)
            for child in parent
            if _name(child) not in ("References", "VirtualSystem", "Info", "Name", "Strings")
        ]


def check(text: bytes, *, source: str, names: Iterable[str] = ()) -> None:
    """Hold a descriptor to the rules.

    Args:
        text: the descriptor.
        source: the file it came from, for messages.
        names: the files beside it in the package, if they are known: each must be referenced.

    Raises:
        ToipLabError: naming the file and the first rule that it breaks.
    """
    for what in broken_rules(text, names):
        raise ToipLabError(f"{source}: {what}", hint="build or download the file again")


def broken_rules(text: bytes, names: Iterable[str] = ()) -> Iterator[str]:
    """What is wrong in a descriptor, one sentence each."""
    try:
        root = ElementTree.fromstring(text)
    except (ET.ParseError, ValueError, LookupError) as error:  # the last two: its encoding
        yield f"not well-formed XML: {error}"
        return
    envelope = Envelope(root)
    for rule in RULES:
        yield from rule(envelope)
    hrefs = {_attribute(file, "href") for file in envelope.files}
    yield from (f"References: {name} is not listed" for name in names if name not in hrefs)


def version(envelope: Envelope) -> Iterator[str]:
    """Section 6.1: an Envelope of this namespace; version 1.x if it says one (ours is 1.0)."""
    if envelope.root.tag != f"{OVF}Envelope":
        yield f"Envelope: the root is {envelope.root.tag}, not an Envelope of {OVF_NAMESPACE}"
    said = _attribute(envelope.root, "version")
    if said and not VERSION.fullmatch(said):
        yield f"Envelope: ovf:version={said!r}, it must be 1.x"


def order(envelope: Envelope) -> Iterator[str]:
    """Section 6.1 and dsp8023: References, then the sections, then one VirtualSystem."""
    names = [_name(child) for child in envelope.root if child.tag.startswith(OVF)]
    if names[:1] != ["References"]:
        yield "Envelope: References is not its first element"
    if names.count("VirtualSystem") != 1:
        yield f"Envelope: {names.count('VirtualSystem')} elements VirtualSystem, there must be one"
    elif set(names[names.index("VirtualSystem") + 1 :]) - {"Strings"}:
        yield "Envelope: a section after the VirtualSystem"


def sections(envelope: Envelope) -> Iterator[str]:
    """Sections 8 and 9: those that a machine with a disk needs, each once, each explained."""
    names = Counter(_name(section) for section in envelope.sections)
    needed = ["DiskSection", "OperatingSystemSection", "VirtualHardwareSection"]
    if any(_type(item) == ETHERNET for item in envelope.items):
        needed.append("NetworkSection")
    for name in needed:
        if names[name] != 1:
            yield f"{names[name]} elements {name}, there must be one"
    for section in envelope.sections:
        if section.find(f"{OVF}Info") is None:
            yield f"{_name(section)}: no Info, which every section has"
        elif section[0].tag != f"{OVF}Info":
            yield f"{_name(section)}: Info is not its first element"
        if not section.tag.startswith(OVF) and _attribute(section, "required") != "false":
            yield f'{_name(section)}: not of OVF itself, so it must say ovf:required="false"'
    for system in envelope.systems:
        if not _attribute(system, "id"):
            yield "VirtualSystem: no ovf:id"
        if system.find(f"{OVF}Info") is None:
            yield "VirtualSystem: no Info"
    for section in envelope.root.iter(f"{OVF}OperatingSystemSection"):
        if not NUMBER.fullmatch(_attribute(section, "id")):
            yield "OperatingSystemSection: its ovf:id is no number"


def references(envelope: Envelope) -> Iterator[str]:
    """Section 7.1: every file has an id and a name, both once, and something refers to it."""
    yield from _once(envelope.files, "id")
    yield from _once(envelope.files, "href")
    used = {_attribute(disk, "fileRef") for disk in envelope.disks}
    used |= {name for kind, name in _host_resources(envelope) if kind == "file"}
    for file in envelope.files:
        name, href = _attribute(file, "id"), _attribute(file, "href")
        if name and name not in used:
            yield f"File: nothing refers to {name}"
        if href and not PLAIN_NAME.fullmatch(href):
            yield f"File: ovf:href={href!r} is not the name of a file in the same package"


def disks(envelope: Envelope) -> Iterator[str]:
    """Section 9.1: an id, a capacity, a format that is a URI; its file; a device that uses it."""
    yield from _once(envelope.disks, "diskId")
    files = {_attribute(file, "id") for file in envelope.files}
    used = {name for kind, name in _host_resources(envelope) if kind == "disk"}
    for disk in envelope.disks:
        name = _attribute(disk, "diskId")
        capacity = _attribute(disk, "capacity")
        if not NUMBER.fullmatch(capacity) or not int(capacity):
            yield f"Disk {name}: ovf:capacity={capacity!r} is no number of bytes"
        if not URI.fullmatch(_attribute(disk, "format")):
            yield f"Disk {name}: its ovf:format is no URI"
        if _attribute(disk, "fileRef") not in files:
            yield f"Disk {name}: its ovf:fileRef={_attribute(disk, 'fileRef')!r} is no File's id"
        if name not in used:
            yield f"Disk {name}: no Item has it as HostResource"


def items(envelope: Envelope) -> Iterator[str]:
    """Section 8.3: what every device must say, and CIM's schema: in alphabetical order."""
    for section in envelope.root.iter(f"{OVF}System"):
        yield from _in_order(section, VSSD, "System")
    for number, item in enumerate(envelope.items, start=1):
        name = _text(item, "InstanceID") or f"number {number}"
        for field in ("ElementName", "InstanceID", "ResourceType"):
            if not _text(item, field):
                yield f"Item {name}: no {field}"
        if _text(item, "ResourceType") and _type(item) not in RESOURCE_TYPES:
            yield f"Item {name}: ResourceType {_text(item, 'ResourceType')} is none of CIM's"
        yield from _in_order(item, RASD, f"Item {name}")
    for name, times in Counter(_text(item, "InstanceID") for item in envelope.items).items():
        if times > 1:
            yield f"Item {name}: {times} of them have this InstanceID"
    for kind, title in ((PROCESSOR, "processor"), (MEMORY, "memory")):
        found = sum(_type(item) == kind for item in envelope.items)
        if found != 1:
            yield f"VirtualHardwareSection: {found} Items of type {kind} ({title}), must be one"


def attachments(envelope: Envelope) -> Iterator[str]:
    """Section 8.3: a disk hangs on a controller, at a place of its own, and is one listed."""
    controllers = {_text(i, "InstanceID") for i in envelope.items if _type(i) in CONTROLLERS}
    places: set[tuple[str, str]] = set()
    ids = {
        "disk": {_attribute(disk, "diskId") for disk in envelope.disks},
        "file": {_attribute(file, "id") for file in envelope.files},
    }
    for item in envelope.items:
        name, parent = _text(item, "InstanceID"), _text(item, "Parent")
        place = parent, _text(item, "AddressOnParent")
        resource = _text(item, "HostResource")
        if _type(item) == DISK and not (all(place) and resource):
            yield f"Item {name}: a disk without Parent, AddressOnParent or HostResource"
        if parent and parent not in controllers:
            yield f"Item {name}: its Parent {parent} is no controller"
        if all(place) and place in places:
            yield f"Item {name}: another is at address {place[1]} of {parent}"
        places.add(place)
        found = HOST_RESOURCE.fullmatch(resource)
        if resource and not (found and found[2] in ids[found[1]]):
            yield f"Item {name}: HostResource {resource} is not in the package"


def networks(envelope: Envelope) -> Iterator[str]:
    """Sections 8.3 and 9.2: an adapter is connected to a network that the package names.

    VirtualBox bridges one of any other name than NAT and Internal.
    """
    listed = envelope.root.findall(f"{OVF}NetworkSection/{OVF}Network")
    yield from _once(listed, "name")
    names = {_attribute(network, "name") for network in listed}
    for name in sorted(names - NETWORKS):
        yield f"Network: ovf:name={name!r}, it must be one of {' '.join(sorted(NETWORKS))}"
    for item in envelope.items:
        connection = _text(item, "Connection")
        if _type(item) == ETHERNET and connection not in names:
            yield (
                f"Item {_text(item, 'InstanceID')}: its Connection {connection!r} is not in the "
                "NetworkSection"
            )


RULES: tuple[Callable[[Envelope], Iterator[str]], ...] = (
    version,
    order,
    sections,
    references,
    disks,
    items,
    attachments,
    networks,
)


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _attribute(element: ET.Element, name: str) -> str:
    """An attribute of OVF; the schema wants them with their namespace."""
    return element.get(OVF + name, "")


def _text(item: ET.Element, field: str) -> str:
    return item.findtext(RASD + field, "").strip()


def _type(item: ET.Element) -> int:
    text = _text(item, "ResourceType")
    return int(text) if NUMBER.fullmatch(text) else 0


def _host_resources(envelope: Envelope) -> Iterator[tuple[str, str]]:
    for item in envelope.items:
        found = HOST_RESOURCE.fullmatch(_text(item, "HostResource"))
        if found:
            yield found[1], found[2]


def _once(elements: list[ET.Element], attribute: str) -> Iterator[str]:
    """Each of the elements has the attribute, and its value alone."""
    for value, times in Counter(_attribute(each, attribute) for each in elements).items():
        if not value:
            yield f"{_name(elements[0])}: no ovf:{attribute}"
        elif times > 1:
            yield f"{_name(elements[0])}: {times} of them have ovf:{attribute}={value!r}"


def _in_order(element: ET.Element, namespace: str, title: str) -> Iterator[str]:
    """Its children are all of this namespace, in alphabetical order, none twice."""
    names = [_name(child) for child in element]
    for child in element:
        if not child.tag.startswith(namespace):
            yield f"{title}: {_name(child)} is not of {namespace.strip('{}')}"
    for before, after in pairwise(names):
        if before >= after:
            yield f"{title}: {after} after {before}, its elements must be in alphabetical order"
