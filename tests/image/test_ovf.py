from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from toiplab.errors import ToipLabError
from toiplab.hardware import Forward, Hardware, InternalAdapter, NatAdapter
from toiplab.image import ovf, ovf_reader
from toiplab.image.ovf import DiskFacts, Product
from toiplab.image.ovf_reader import Descriptor

GOLDEN = Path(__file__).parent.parent / "golden" / "appliance.ovf"
# What VirtualBox 7.2 exported of a machine like ours: settings version 1.19, in which the
# storage controllers have moved, and a disabled adapter is listed.
EXPORTED = Path(__file__).parent / "exported-by-virtualbox.ovf"

PRODUCT = Product("toip-lab", version="0.1.0", vendor="ISI & Cie", url="https://example.org/")


def described(hardware: Hardware, disk: DiskFacts) -> str:
    return ovf.write(
        hardware, disk, product=PRODUCT, annotation="Deux lignes :\n<annuaire> & mots de passe"
    ).decode()


def test_golden(hardware: Hardware, disk_facts: DiskFacts) -> None:
    assert described(hardware, disk_facts) == GOLDEN.read_text(encoding="utf-8")


def test_read_gives_back_what_was_written(hardware: Hardware, disk_facts: DiskFacts) -> None:
    text = ovf.write(hardware, disk_facts)
    assert ovf_reader.read(text, source="x") == Descriptor(hardware, disk_facts)


@pytest.mark.parametrize(
    "adapters",
    [
        (),
        (NatAdapter(),),
        (InternalAdapter('a"b'), NatAdapter(), InternalAdapter("c\td"), NatAdapter()),
        (NatAdapter((Forward("<&>", "udp", IPv4Address("0.0.0.0"), 1, 65535),)),),
        (
            NatAdapter(
                tuple(
                    Forward(f"rtp{port}", "udp", IPv4Address("127.0.0.1"), port, port)
                    for port in range(10000, 10200)
                )
            ),
        ),
    ],
)
def test_adapters_keep_their_order(
    hardware: Hardware, disk_facts: DiskFacts, adapters: tuple[NatAdapter | InternalAdapter, ...]
) -> None:
    wanted = replace(hardware, adapters=adapters)
    read = ovf_reader.read(ovf.write(wanted, disk_facts), source="x")
    assert read.hardware == wanted


def test_a_name_cannot_change_the_structure(hardware: Hardware, disk_facts: DiskFacts) -> None:
    name = "\"/><Item></Envelope>&amp;<!-- '\n"
    text = ovf.write(replace(hardware, name=name), disk_facts, annotation=name)
    assert ovf_reader.read(text, source="x").hardware.name == name
    plain = ovf.write(replace(hardware, name="x"), disk_facts, annotation="x")
    assert text.count(b"<") == plain.count(b"<")


def test_the_disk_has_one_uuid_everywhere(hardware: Hardware, disk_facts: DiskFacts) -> None:
    text = described(hardware, disk_facts)
    assert f'vbox:uuid="{disk_facts.uuid}"' in text
    assert f'<Image uuid="{{{disk_facts.uuid}}}" />' in text


def test_no_mac_address_and_no_time(hardware: Hardware, disk_facts: DiskFacts) -> None:
    text = described(hardware, disk_facts)
    assert "MACAddress" not in text
    assert "lastStateChange" not in text


def test_what_virtualbox_exports_is_read() -> None:
    read = ovf_reader.read(EXPORTED.read_bytes(), source=EXPORTED.name)
    loopback = IPv4Address("127.0.0.1")
    assert read.hardware == Hardware(
        name="ref",
        memory=1024,
        cpus=2,
        adapters=(
            NatAdapter(
                (
                    Forward("sip", "udp", loopback, 5060, 5060),
                    Forward("ssh", "tcp", loopback, 2222, 22),
                )
            ),
            InternalAdapter("toip & lab"),
        ),
    )
    assert read.disk.file_name == "ref-disk001.vmdk"
    assert read.disk.size is None
    assert read.disk.capacity == 64 << 20


DRIVE = '<AttachedDevice type="DVD" passthrough="false" port="0" device="0" />'


@pytest.mark.parametrize(
    ("old", "new", "order"),
    [
        ('device="HardDisk"', 'device="Network"', ("Network", "DVD")),
        ('device="DVD"', 'device="None"', ("HardDisk",)),
        ('position="1"', 'position="5"', ("DVD", "HardDisk")),
        ("Order", "Ordre", ("Floppy", "DVD", "HardDisk")),
    ],
)
def test_the_boot_order_is_read(
    hardware: Hardware, disk_facts: DiskFacts, old: str, new: str, order: tuple[str, ...]
) -> None:
    text = described(hardware, disk_facts)
    assert old in text
    read = ovf_reader.read(text.replace(old, new).encode(), source="x")
    assert read.hardware == replace(hardware, boot_order=order)


@pytest.mark.parametrize(
    ("old", "new", "drives"),
    [
        (DRIVE, "", ()),
        (DRIVE, DRIVE * 2, ("IDE", "IDE")),
        (DRIVE, DRIVE.replace("/>", '><Image uuid="{0}" /></AttachedDevice>'), ()),
        ('type="PIIX4"', 'type="ICH6"', ("IDE",)),
        ('type="PIIX4"', 'type="USB"', ("USB",)),
    ],
)
def test_the_empty_drives_are_read(
    hardware: Hardware, disk_facts: DiskFacts, old: str, new: str, drives: tuple[str, ...]
) -> None:
    text = described(hardware, disk_facts)
    assert old in text
    read = ovf_reader.read(text.replace(old, new).encode(), source="x")
    assert read.hardware == replace(hardware, empty_drives=drives)


BAD_HARDWARE = [
    (
        {"name": "bell\a"},
        "'bell\\x07': the character '\\x07' cannot stand in an OVF",
    ),
    ({"adapters": (NatAdapter(),) * 5}, "five: 5 network adapters"),
]


@pytest.mark.parametrize(("change", "message"), BAD_HARDWARE)
def test_hardware_that_cannot_be_written(
    hardware: Hardware, disk_facts: DiskFacts, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ToipLabError) as error:
        ovf.write(replace(hardware, **{"name": "five", **change}), disk_facts)
    assert error.value.message == message


HREF = 'ovf:href="toip-disk001.vmdk"'
MALFORMED = [
    ("</Envelope>", "", "not well-formed XML: no element found: line 162, column 0"),
    ("Envelope", "Envelop", "not an OVF descriptor: its root is not an Envelope"),
    ("File", "Fil", "Envelope: 0 elements File, there must be one"),
    (HREF, "", "File: no attribute ovf:href"),
    ('ovf:size="226304"', 'ovf:size="-1"', f"File: ovf:size='-1' is no number from 0 to {1 << 63}"),
    ('fileRef="file1"', 'fileRef="file2"', "Disk: its fileRef is not the id of the File"),
    ("#streamOptimized", "#sparse", "Disk: its format is not that of a streamOptimized VMDK"),
    (
        'vbox:uuid="98',
        'vbox:uuid="xy',
        "Disk: vbox:uuid='xyd72888-069d-5566-b5f0-ce01ac6b3d76' is no uuid",
    ),
    (
        'capacity="42991616"',
        'capacity="many"',
        f"Disk: ovf:capacity='many' is no number from 1 to {1 << 63}",
    ),
    ("vbox:Machine", "vbox:Engine", "VirtualSystem: 0 elements vbox:Machine, there must be one"),
    (
        ">Debian_64</vbox:OSType>",
        ">Windows</vbox:OSType>",
        "OSType: OSType='Windows', it must be Debian_64",
    ),
    ('position="1"', 'position="0"', f"Order: position='0' is no number from 1 to {1 << 63}"),
    ('OSType="Debian_64"', 'OSType="Windows"', "Machine: OSType='Windows', it must be Debian_64"),
    (
        'RAMSize="1024"',
        'RAMSize="2048"',
        "Memory: RAMSize=2048, the VirtualHardwareSection says 1024",
    ),
    ('CPU count="2"', "CPU", "CPU: count=1, the VirtualHardwareSection says 2"),
    (
        "<rasd:VirtualQuantity>2<",
        "<rasd:VirtualQuantity>0<",
        f"VirtualQuantity: VirtualQuantity='0' is no number from 1 to {1 << 31}",
    ),
    ("82540EM", "virtio", "Adapter: type='virtio', it must be 82540EM"),
    ('slot="1"', 'slot="3"', "Adapter: slot 1 is not in use, but a later one is"),
    (
        "InternalNetwork",
        "BridgedInterface",
        "Adapter: neither NAT nor InternalNetwork: no other kind is supported",
    ),
    ('proto="1"', 'proto="6"', "Forwarding: proto='6' is no number from 0 to 1"),
    ('hostip="127.0.0.1"', 'hostip="loopback"', "Forwarding: hostip='loopback' is no IPv4 address"),
    ('hostport="2222"', 'hostport="0"', "Forwarding: hostport='0' is no number from 1 to 65535"),
    (
        'guestport="22"',
        'guestport="65536"',
        "Forwarding: guestport='65536' is no number from 1 to 65535",
    ),
    ('type="HardDisk"', 'type="Floppy"', "Machine: 0 hard disks attached, there must be one"),
    (
        'type="AHCI"',
        'type="LsiLogic"',
        "AttachedDevice: the hard disk is not on port 0 of an AHCI controller",
    ),
    (
        'uuid="{98',
        'uuid="{99',
        "Image: its uuid is not the Disk's vbox:uuid, 98d72888-069d-5566-b5f0-ce01ac6b3d76",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), MALFORMED)
def test_a_malformed_descriptor_is_refused(
    hardware: Hardware, disk_facts: DiskFacts, old: str, new: str, message: str
) -> None:
    text = described(hardware, disk_facts)
    assert old in text
    with pytest.raises(ToipLabError) as error:
        ovf_reader.read(text.replace(old, new).encode(), source="lab.ovf")
    assert error.value.message == f"lab.ovf: {message}"
