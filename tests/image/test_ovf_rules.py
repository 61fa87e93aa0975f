"""Each rule of OVF, and a descriptor that breaks it."""

from __future__ import annotations

import re

import pytest

from tests.image.test_ovf import EXPORTED, described
from toiplab.errors import ToipLabError
from toiplab.hardware import Hardware
from toiplab.image import ovf_rules
from toiplab.image.ovf import DiskFacts
from toiplab.image.ovf_rules import broken_rules

FILE = '<File ovf:id="file1" ovf:href="toip-disk001.vmdk" ovf:size="226304" />'
DISK = 'ovf:diskId="vmdisk1"'
DISK_ITEM = "<rasd:InstanceID>6</rasd:InstanceID>"
PARENT = "<rasd:Parent>5</rasd:Parent>"
RESOURCE = "<rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>"
NETWORK = '<Network ovf:name="NAT">'
SECTION = "<{0}Section><Info /></{0}Section>"
SECOND_DISK = (
    "<Item><rasd:AddressOnParent>{0}</rasd:AddressOnParent><rasd:ElementName>x</rasd:ElementName>"
    "<rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>"
    "<rasd:InstanceID>90</rasd:InstanceID><rasd:Parent>5</rasd:Parent>"
    "<rasd:ResourceType>17</rasd:ResourceType></Item></VirtualHardwareSection>"
)

# What is replaced, by what, and the complaints of the rules.
BROKEN: list[tuple[str, str, list[str]]] = [
    ("</Envelope>", "", ["not well-formed XML: no element found: line 162, column 0"]),
    (
        'ovf:version="1.0"',
        'ovf:version="2.0"',
        ["Envelope: ovf:version='2.0', it must be 1.x"],
    ),
    (
        "<References>",
        SECTION.format("Startup") + "<References>",
        ["Envelope: References is not its first element"],
    ),
    (
        "</Envelope>",
        SECTION.format("Startup") + "</Envelope>",
        ["Envelope: a section after the VirtualSystem"],
    ),
    (
        "</Envelope>",
        '<VirtualSystem ovf:id="b"><Info /></VirtualSystem></Envelope>',
        ["Envelope: 2 elements VirtualSystem, there must be one"],
    ),
    (
        "</NetworkSection>",
        "</NetworkSection>" + SECTION.format("Network"),
        ["2 elements NetworkSection, there must be one"],
    ),
    (
        "</DiskSection>",
        "</DiskSection>" + SECTION.format("Disk"),
        ["2 elements DiskSection, there must be one"],
    ),
    (
        "</OperatingSystemSection>",
        '</OperatingSystemSection><OperatingSystemSection ovf:id="1"><Info />'
        "</OperatingSystemSection>",
        ["2 elements OperatingSystemSection, there must be one"],
    ),
    (
        "</VirtualHardwareSection>",
        "</VirtualHardwareSection>" + SECTION.format("VirtualHardware"),
        ["2 elements VirtualHardwareSection, there must be one"],
    ),
    (
        "<Info>List of the virtual disks used in the package</Info>",
        "",
        ["DiskSection: no Info, which every section has"],
    ),
    (
        "<Info>Logical networks used in the package</Info>",
        '<Network ovf:name="x" /><Info />',
        [
            "NetworkSection: Info is not its first element",
            "Network: ovf:name='x', it must be one of Internal NAT",
        ],
    ),
    (
        '<vbox:Machine ovf:required="false"',
        "<vbox:Machine",
        ['Machine: not of OVF itself, so it must say ovf:required="false"'],
    ),
    ("<VirtualSystem ovf:id", "<VirtualSystem id", ["VirtualSystem: no ovf:id"]),
    ("<Info>A virtual machine</Info>", "", ["VirtualSystem: no Info"]),
    (
        'OperatingSystemSection ovf:id="96"',
        'OperatingSystemSection ovf:id="Debian"',
        ["OperatingSystemSection: its ovf:id is no number"],
    ),
    ('ovf:href="toip-disk001.vmdk" ', "", ["File: no ovf:href"]),
    (
        'ovf:href="toip-disk001.vmdk"',
        'ovf:href="../disk.vmdk"',
        ["File: ovf:href='../disk.vmdk' is not the name of a file in the same package"],
    ),
    (
        FILE,
        FILE + FILE.replace("file1", "file2"),
        ["File: 2 of them have ovf:href='toip-disk001.vmdk'", "File: nothing refers to file2"],
    ),
    (
        FILE,
        FILE + FILE.replace("disk001", "disk002"),
        ["File: 2 of them have ovf:id='file1'"],
    ),
    (
        'ovf:fileRef="file1"',
        'ovf:fileRef="file2"',
        ["File: nothing refers to file1", "Disk vmdisk1: its ovf:fileRef='file2' is no File's id"],
    ),
    (
        DISK,
        'ovf:diskId="vmdisk2"',
        [
            "Disk vmdisk2: no Item has it as HostResource",
            "Item 6: HostResource ovf:/disk/vmdisk1 is not in the package",
        ],
    ),
    (
        'ovf:capacity="42991616"',
        'ovf:capacity="0"',
        ["Disk vmdisk1: ovf:capacity='0' is no number of bytes"],
    ),
    (
        "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
        "streamOptimized",
        ["Disk vmdisk1: its ovf:format is no URI"],
    ),
    ("<rasd:ElementName>disk1</rasd:ElementName>", "", ["Item 6: no ElementName"]),
    (
        "<rasd:InstanceID>7</rasd:InstanceID>",
        "",
        ["Item number 7: no InstanceID"],
    ),
    (
        "<rasd:InstanceID>7</rasd:InstanceID>",
        "<rasd:InstanceID>8</rasd:InstanceID>",
        ["Item 8: 2 of them have this InstanceID"],
    ),
    (
        "<rasd:ResourceType>5</rasd:ResourceType>",
        "<rasd:ResourceType>99</rasd:ResourceType>",
        ["Item 3: ResourceType 99 is none of CIM's"],
    ),
    ("<rasd:ResourceType>5</rasd:ResourceType>", "", ["Item 3: no ResourceType"]),
    (
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity><rasd:Weight>1</rasd:Weight>"
        "<rasd:Limit>2</rasd:Limit>",
        ["Item 1: Limit after Weight, its elements must be in alphabetical order"],
    ),
    (
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity><rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
        [
            "Item 1: VirtualQuantity after VirtualQuantity, its elements must be in alphabetical "
            "order"
        ],
    ),
    (
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
        "<VirtualQuantity>2</VirtualQuantity>",
        [f"Item 1: VirtualQuantity is not of {ovf_rules.RASD_NAMESPACE}"],
    ),
    (
        "<vssd:InstanceID>0</vssd:InstanceID>",
        "<vssd:Caption>0</vssd:Caption>",
        ["System: Caption after ElementName, its elements must be in alphabetical order"],
    ),
    (
        "<rasd:ResourceType>3</rasd:ResourceType>",
        "<rasd:ResourceType>4</rasd:ResourceType>",
        [
            "VirtualHardwareSection: 0 Items of type 3 (processor), must be one",
            "VirtualHardwareSection: 2 Items of type 4 (memory), must be one",
        ],
    ),
    (PARENT, "", ["Item 6: a disk without Parent, AddressOnParent or HostResource"]),
    (
        RESOURCE,
        "",
        [
            "Disk vmdisk1: no Item has it as HostResource",
            "Item 6: a disk without Parent, AddressOnParent or HostResource",
        ],
    ),
    (PARENT, "<rasd:Parent>2</rasd:Parent>", ["Item 6: its Parent 2 is no controller"]),
    (PARENT, "<rasd:Parent>77</rasd:Parent>", ["Item 6: its Parent 77 is no controller"]),
    (
        "</VirtualHardwareSection>",
        SECOND_DISK.format(0),
        ["Item 90: another is at address 0 of 5"],
    ),
    ("</VirtualHardwareSection>", SECOND_DISK.format(1), []),
    (
        NETWORK,
        '<Network ovf:name="Net">',
        [
            "Network: ovf:name='Net', it must be one of Internal NAT",
            "Item 7: its Connection 'NAT' is not in the NetworkSection",
        ],
    ),
    (
        NETWORK,
        '<Network ovf:name="Internal">',
        [
            "Network: 2 of them have ovf:name='Internal'",
            "Item 7: its Connection 'NAT' is not in the NetworkSection",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "what"), BROKEN)
def test_a_descriptor_that_breaks_a_rule(
    hardware: Hardware, disk_facts: DiskFacts, old: str, new: str, what: list[str]
) -> None:
    text = described(hardware, disk_facts)
    assert old in text
    assert list(broken_rules(text.replace(old, new, 1).encode())) == what


def test_another_root(hardware: Hardware, disk_facts: DiskFacts) -> None:
    text = described(hardware, disk_facts).replace("/ovf/envelope/1", "/ovf/envelope/2")
    assert next(broken_rules(text.encode())) == (
        "Envelope: the root is {http://schemas.dmtf.org/ovf/envelope/2}Envelope, "
        "not an Envelope of http://schemas.dmtf.org/ovf/envelope/1"
    )


@pytest.mark.parametrize(
    "section",
    ["NetworkSection", "DiskSection", "OperatingSystemSection", "VirtualHardwareSection"],
)
def test_a_section_that_is_missing(hardware: Hardware, disk_facts: DiskFacts, section: str) -> None:
    text = described(hardware, disk_facts)
    without = re.sub(rf"<{section}.*</{section}>", "", text, flags=re.DOTALL)
    assert f"0 elements {section}, there must be one" in broken_rules(without.encode())


def test_what_we_write_and_what_virtualbox_exports_breaks_none(
    hardware: Hardware, disk_facts: DiskFacts
) -> None:
    assert list(broken_rules(described(hardware, disk_facts).encode())) == []
    assert list(broken_rules(EXPORTED.read_bytes())) == []


def test_a_file_of_the_package_that_nothing_lists(
    hardware: Hardware, disk_facts: DiskFacts
) -> None:
    text = described(hardware, disk_facts).encode()
    ovf_rules.check(text, source="lab.ovf", names=[disk_facts.file_name])
    with pytest.raises(ToipLabError) as error:
        ovf_rules.check(text, source="lab.ovf", names=[disk_facts.file_name, "notes.txt"])
    assert error.value.message == "lab.ovf: References: notes.txt is not listed"


def test_every_rule_is_broken_by_one(hardware: Hardware, disk_facts: DiskFacts) -> None:
    """A rule that nothing breaks would be no check."""
    text = described(hardware, disk_facts)
    for rule in ovf_rules.RULES:
        assert any(
            list(rule(ovf_rules.Envelope(ovf_rules.ET.fromstring(text.replace(old, new, 1)))))
            for old, new, _ in BROKEN[1:]
        ), rule.__name__
