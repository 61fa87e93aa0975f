from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.hardware import Hardware
from toiplab.image import ova, ovf, vmdk
from toiplab.image.ova import Member, Ova
from toiplab.image.ovf import DiskFacts

DISK = "toip-disk001.vmdk"


@pytest.fixture
def disk(tmp_path: Path, raw_disk: Path) -> tuple[Path, DiskFacts]:
    path = tmp_path / DISK
    info = vmdk.write(raw_disk, path)
    return path, DiskFacts(DISK, path.stat().st_size, info.capacity, info.uuid)


@pytest.fixture
def appliance(tmp_path: Path, hardware: Hardware, disk: tuple[Path, DiskFacts]) -> Ova:
    path, facts = disk
    return ova.write(tmp_path / "toip.ova", descriptor=ovf.write(hardware, facts), disk=path)


def test_the_files_their_order_and_their_headers(appliance: Ova) -> None:
    with tarfile.open(appliance.path, format=tarfile.USTAR_FORMAT) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["toip.ovf", "toip.mf", DISK]
    for member in members:
        assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
        assert member.type == tarfile.REGTYPE
        assert not member.pax_headers
    assert appliance.path.read_bytes()[257:265] == b"ustar\x0000"
    assert appliance.path.stat().st_size % 512 == 0


def test_the_manifest(appliance: Ova) -> None:
    with tarfile.open(appliance.path) as archive:
        contents = {name: archive.extractfile(name).read() for name in archive.getnames()}
    assert contents["toip.mf"].decode() == "".join(
        f"SHA256({name})= {hashlib.sha256(contents[name]).hexdigest()}\n"
        for name in ("toip.ovf", DISK)
    )


def test_opening_gives_back_what_was_written(appliance: Ova, hardware: Hardware) -> None:
    opened = ova.open_ova(appliance.path)
    assert opened == appliance
    assert opened.hardware == hardware
    opened.verify()


def test_the_same_bytes_twice(
    tmp_path: Path, appliance: Ova, hardware: Hardware, disk: tuple[Path, DiskFacts]
) -> None:
    path, facts = disk
    again = ova.write(
        tmp_path / "again" / "toip.ova", descriptor=ovf.write(hardware, facts), disk=path
    )
    assert again.path.read_bytes() == appliance.path.read_bytes()


def test_the_disk_comes_out_as_it_went_in(
    tmp_path: Path, appliance: Ova, disk: tuple[Path, DiskFacts]
) -> None:
    appliance.extract_disk(tmp_path / "out.vmdk")
    assert (tmp_path / "out.vmdk").read_bytes() == disk[0].read_bytes()


@pytest.mark.skipif(host.which("qemu-img") is None, reason="qemu-img is not installed")
def test_qemu_reads_the_disk_inside_the_ova(tmp_path: Path, appliance: Ova, raw_disk: Path) -> None:
    overlay = tmp_path / "overlay.qcow2"
    create = ["qemu-img", "create", "-f", "qcow2", "-F", "vmdk", "-b", appliance.backing(), overlay]
    subprocess.run(create, check=True, capture_output=True)
    compare = ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw_disk, overlay]
    subprocess.run(compare, check=True, capture_output=True)


def test_an_export_of_virtualbox_is_read(tmp_path: Path, appliance: Ova) -> None:
    """Its manifest comes last, in SHA-1 with spaces; no blocks of zeros end the archive."""
    with tarfile.open(appliance.path) as archive:
        contents = {name: archive.extractfile(name).read() for name in archive.getnames()}
    names = ("toip.ovf", DISK)
    digests = {name: hashlib.sha1(contents[name], usedforsecurity=False) for name in names}
    contents["toip.mf"] = "".join(
        f"SHA1 ({name}) = {digest.hexdigest()}\n" for name, digest in digests.items()
    ).encode()
    path = tmp_path / "export.ova"
    with path.open("wb") as out:
        for name in (*names, "toip.mf"):
            info = tarfile.TarInfo(name)
            info.size = len(contents[name])
            out.write(info.tobuf(tarfile.USTAR_FORMAT))
            out.write(contents[name] + bytes(-info.size % 512))
    ova.open_ova(path).verify()


def test_a_disk_that_the_descriptor_does_not_describe(
    tmp_path: Path, hardware: Hardware, disk: tuple[Path, DiskFacts]
) -> None:
    path, facts = disk
    with pytest.raises(ToipLabError) as error:
        ova.write(
            tmp_path / "toip.ova",
            descriptor=ovf.write(hardware, replace(facts, size=1)),
            disk=path,
        )
    size = path.stat().st_size
    assert error.value.message == f"{path}: {size} bytes, but its OVF descriptor says 1"
    assert not (tmp_path / "toip.ova").exists()


@pytest.mark.parametrize("name", ["été", "a" * 98, "a b"])
def test_a_name_that_ustar_or_an_importer_cannot_hold(
    tmp_path: Path, hardware: Hardware, disk: tuple[Path, DiskFacts], name: str
) -> None:
    path, facts = disk
    out = tmp_path / f"{name}.ova"
    with pytest.raises(ToipLabError) as error:
        ova.write(out, descriptor=ovf.write(hardware, facts), disk=path)
    assert error.value.message == f"{out}: '{name}.ovf' cannot be a file's name in an OVA"


Change = Callable[[bytes, Ova], bytes]


def changed(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes((data[offset] ^ 1,)) + data[offset + 1 :]


def headed(data: bytes, name: str, member: Member, kind: bytes) -> bytes:
    """The OVA with another header for one of its files."""
    info = tarfile.TarInfo(name)
    info.size, info.type = member.size, kind
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    return data[: member.offset - 512] + header + data[member.offset :]


def pax(data: bytes, appliance: Ova) -> bytes:
    info = tarfile.TarInfo("toip.ovf")
    info.mtime = 1.5
    return info.tobuf(tarfile.PAX_FORMAT) + data[512:]


def disk_first(data: bytes, appliance: Ova) -> bytes:
    begin = appliance.disk.offset - 512
    return data[begin : -2 * 512] + data[:begin] + bytes(1024)


BROKEN: list[tuple[str, Change, str]] = [
    ("empty", lambda _, __: b"", "its first file is not an OVF descriptor"),
    ("no tar", lambda _, __: b"x" * 1024, "no tar header at byte 0"),
    ("half a header", lambda data, _: data[:100], "truncated: half a tar header at byte 0"),
    (
        "the disk cut",
        lambda data, _: data[:-2048],
        "truncated: toip-disk001.vmdk ends at byte {end}, the file at {size}",
    ),
    (
        "the disk missing",
        lambda data, appliance: data[: appliance.disk.offset - 512],
        "it does not hold the disk 'toip-disk001.vmdk'",
    ),
    (
        "pax",
        pax,
        "././@PaxHeader at byte 0 is not a plain file of a USTAR archive",
    ),
    ("disk first", disk_first, "its first file is not an OVF descriptor"),
    (
        "a header changed",
        lambda data, appliance: changed(data, appliance.disk.offset - 510),
        "no tar header at byte {disk_header}",
    ),
    (
        "the OVF changed",
        lambda data, _: data.replace(b"2222", b"2223"),
        "toip.ovf does not have the SHA256 of toip.mf",
    ),
    (
        "another disk, which is whole",
        lambda data, _: re.sub(rb"\nCID=[0-9a-f]{8}", b"\nCID=00000000", data),
        "toip-disk001.vmdk does not have the SHA256 of toip.mf",
    ),
    (
        "no manifest",
        lambda data, appliance: headed(data, "toip.txt", appliance.members[1], tarfile.REGTYPE),
        "it has no manifest (.mf)",
    ),
    (
        "a file listed twice",
        lambda data, appliance: data.replace(
            b"SHA256(toip-disk001.vmdk)= ", b"SHA256(toip.ovf)= " + b"0" * 9
        ),
        "line 2 of toip.mf lists toip.ovf again",
    ),
    (
        "something between the files",
        lambda data, appliance: changed(data, appliance.members[1].offset - 513),
        "toip.ovf is not followed by zeros, up to byte {mf_header}",
    ),
    (
        "something behind the disk",
        lambda data, _: data + b"x",
        "something follows its end, at byte {archive_end}",
    ),
    (
        "another archive behind it",
        lambda data, _: data + data,
        "something follows its end, at byte {archive_end}",
    ),
    (
        "more zeros than tar ever writes",
        lambda data, _: data + bytes(10240),
        "something follows its end, at byte {archive_end}",
    ),
    (
        "a file that is a link",
        lambda data, appliance: headed(data, "toip.mf", appliance.members[1], tarfile.SYMTYPE),
        "toip.mf at byte {mf_header} is not a plain file of a USTAR archive",
    ),
    (
        "two files of one name",
        lambda data, appliance: headed(data, "toip.ovf", appliance.members[1], tarfile.REGTYPE),
        "two of its files have the same name",
    ),
    (
        "the manifest changed",
        lambda data, _: data.replace(b"SHA256(toip.ovf)", b"SHA256(toip.ovg)"),
        "toip.mf does not list exactly its files",
    ),
    (
        "the manifest broken",
        lambda data, _: data.replace(b"SHA256(toip.ovf)", b"MD5999(toip.ovf)"),
        "line 1 of toip.mf is not SHA256(file)= digest",
    ),
]


@pytest.mark.parametrize(
    ("change", "what"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
)
def test_a_broken_ova_is_refused(appliance: Ova, change: Change, what: str) -> None:
    whole = appliance.path.stat().st_size
    data = change(appliance.path.read_bytes(), appliance)
    appliance.path.write_bytes(data)
    with pytest.raises(ToipLabError) as error:
        ova.open_ova(appliance.path).verify()
    disk = appliance.disk
    what = what.format(
        end=disk.offset + disk.size,
        size=len(data),
        disk_header=disk.offset - 512,
        mf_header=appliance.members[1].offset - 512,
        archive_end=whole - 2 * 512,
    )
    assert error.value.message == f"{appliance.path}: broken OVA: {what}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.ova"
    with pytest.raises(ToipLabError) as error:
        ova.open_ova(path)
    assert error.value.message == f"{path}: cannot be read: No such file or directory"
