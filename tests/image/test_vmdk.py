from __future__ import annotations

import hashlib
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.image import vmdk, vmdk_reader

KIB, MIB = 1 << 10, 1 << 20
GRAIN, CHUNK = vmdk.GRAIN, vmdk.CHUNK

needs_qemu_img = pytest.mark.skipif(
    host.which("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)"
)


def make_raw(path: Path, size: int, *data: tuple[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, content in data:
            file.seek(offset)
            file.write(content)
    return path


def noise(size: int) -> bytes:
    return hashlib.shake_128(b"noise").digest(size)


DISKS = {
    "no data": (MIB, ()),
    "one byte": (1, ((0, b"x"),)),
    "one grain": (GRAIN, ((0, noise(GRAIN)),)),
    "a grain and a byte": (GRAIN + 1, ((GRAIN, b"x"),)),
    "zeros that are no hole": (MIB, ((0, bytes(MIB)),)),
    "an unfinished sector": (3 * GRAIN + 1234, ((0, noise(3 * GRAIN + 1234)),)),
    "a dense stretch across chunks": (4 * CHUNK, ((CHUNK - 5000, noise(CHUNK + 10000)),)),
    "exactly one table": (32 * MIB, ((0, b"a"), (32 * MIB - 1, b"z"))),
    "one grain more than a table": (32 * MIB + GRAIN, ((0, b"a"), (32 * MIB, b"z"))),
    "an empty table between two": (65 * MIB, ((5, b"a"), (64 * MIB, noise(90 * KIB)))),
    "incompressible": (2 * MIB, ((0, noise(2 * MIB)),)),
}


@needs_qemu_img
@pytest.mark.parametrize("disk", DISKS)
def test_qemu_reads_the_same_disk(tmp_path: Path, disk: str) -> None:
    size, data = DISKS[disk]
    raw = make_raw(tmp_path / "disk.raw", size, *data)
    out = tmp_path / "disk.vmdk"
    info = vmdk.write(raw, out)
    assert info.capacity == -(-size // GRAIN) * GRAIN
    subprocess.run(["qemu-img", "check", "-f", "vmdk", out], check=True, capture_output=True)
    compare = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", raw, out]
    subprocess.run(compare, check=True, capture_output=True)


@pytest.mark.parametrize("disk", DISKS)
def test_our_reader_gives_the_disk_back(tmp_path: Path, disk: str) -> None:
    size, data = DISKS[disk]
    raw = make_raw(tmp_path / "disk.raw", size, *data)
    out, back = tmp_path / "disk.vmdk", tmp_path / "back.raw"
    written = vmdk.write(raw, out)
    assert vmdk_reader.verify(out) == written
    vmdk_reader.extract(out, back)
    assert back.read_bytes() == raw.read_bytes().ljust(written.capacity, b"\0")


def test_only_grains_with_data_are_stored(tmp_path: Path, raw_disk: Path) -> None:
    out = tmp_path / "disk.vmdk"
    assert vmdk.write(raw_disk, out).grains == 3
    back = tmp_path / "back.raw"
    vmdk_reader.extract(out, back)
    assert back.stat().st_blocks * 512 <= 3 * GRAIN + 64 * KIB


def test_the_bytes_do_not_depend_on_the_threads(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "disk.raw", 40 * MIB, (MIB, noise(5 * MIB)), (39 * MIB, b"end"))
    files = set()
    for threads in (1, 2, 7):
        vmdk.write(raw, tmp_path / "disk.vmdk", threads=threads)
        files.add((tmp_path / "disk.vmdk").read_bytes())
    assert len(files) == 1


def test_best_is_the_same_disk_in_fewer_bytes(tmp_path: Path) -> None:
    text = b"".join(f"{n} {n * n}\n".encode() for n in range(100_000))
    raw = make_raw(tmp_path / "disk.raw", 4 * MIB, (0, text))
    files = {}
    for compression in vmdk.Compression:
        out = tmp_path / f"{compression}.vmdk"
        vmdk.write(raw, out, compression=compression)
        vmdk_reader.extract(out, tmp_path / "back.raw")
        assert (tmp_path / "back.raw").read_bytes() == raw.read_bytes()
        files[compression] = out.stat().st_size
    assert files[vmdk.Compression.BEST] < files[vmdk.Compression.FAST]


def test_the_identity_is_the_contents(tmp_path: Path) -> None:
    out = tmp_path / "disk.vmdk"
    one = vmdk.write(make_raw(tmp_path / "raw", MIB, (0, b"one")), out)
    same = vmdk.write(make_raw(tmp_path / "raw", MIB, (0, b"one")), out)
    moved = vmdk.write(make_raw(tmp_path / "raw", MIB, (GRAIN, b"one")), out)
    larger = vmdk.write(make_raw(tmp_path / "raw", 2 * MIB, (0, b"one")), out)
    assert one == same
    assert len({one.uuid, moved.uuid, larger.uuid}) == 3
    assert len({one.content_id, moved.content_id, larger.content_id}) == 3


def test_a_vmdk_inside_another_file(tmp_path: Path, raw_disk: Path) -> None:
    out = tmp_path / "disk.vmdk"
    info = vmdk.write(raw_disk, out)
    content = out.read_bytes()
    inside = tmp_path / "inside"
    inside.write_bytes(b"before" * 100 + content + b"after")
    assert vmdk_reader.verify(inside, offset=600, size=len(content)) == info


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "disk.raw", 0)
    with pytest.raises(ToipLabError) as error:
        vmdk.write(raw, tmp_path / "disk.vmdk")
    assert error.value.message == f"{raw}: an empty file is no disk"


def test_a_name_that_would_change_the_descriptor_is_refused(tmp_path: Path, raw_disk: Path) -> None:
    with pytest.raises(ToipLabError) as error:
        vmdk.write(raw_disk, tmp_path / 'a"b.vmdk')
    assert error.value.message == f"""{tmp_path}/a"b.vmdk: 'a"b.vmdk' cannot name a VMDK"""


@pytest.mark.parametrize("former", [None, b"former"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, raw_disk: Path, former: bytes | None
) -> None:
    out = tmp_path / "disk.vmdk"
    if former is not None:
        out.write_bytes(former)
    before = sorted(path.name for path in tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (GRAIN, hard))
    try:
        with pytest.raises(ToipLabError) as error:
            vmdk.write(raw_disk, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.message == f"{out}: cannot be written: File too large"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert former is None or out.read_bytes() == former


Change = Callable[[bytearray], None]


def put(sector: int, content: bytes, *, at: int = 0) -> Change:
    """Overwrite bytes of a sector; sectors below 0 count from the end."""

    def change(data: bytearray) -> None:
        begin = sector * 512 + at + (len(data) if sector < 0 else 0)
        data[begin : begin + len(content)] = content

    return change


def replace(old: bytes, new: bytes) -> Change:
    def change(data: bytearray) -> None:
        assert old in data
        data[:] = data.replace(old, new, 1)

    return change


def cut(size: int) -> Change:
    """Keep so many bytes; a size below 0 counts from the end."""

    def change(data: bytearray) -> None:
        del data[size:]

    return change


# In the fixture's VMDK, in sectors: 0 header, 1 descriptor, 128 and 129 grains, 130 table
# marker, 131 table; from the end: -4 directory, -3 marker, -2 footer, -1 end of stream.
BROKEN: list[tuple[Change, int, str]] = [
    (cut(0), 0, "truncated: 0 bytes, not whole sectors"),
    (cut(1000), 512, "truncated: 1000 bytes, not whole sectors"),
    (cut(-1), -1, "truncated: {size} bytes, not whole sectors"),
    (cut(-512), -1, "truncated: no end-of-stream marker"),
    (cut(128 * 512), 0, "the header's descriptor and overhead do not fit the file"),
    (cut(129 * 512), -1, "truncated: no end-of-stream marker"),
    (put(0, b"KDMW"), 0, "no VMDK: it does not begin with KDMV"),
    (put(0, b"\x01", at=4), 0, "the header is not a streamOptimized VMDK's"),
    (put(0, b"\xff", at=64), 0, "the header's descriptor and overhead do not fit the file"),
    (replace(b"streamOptimized", b"monolithicSpars"), 1, "the descriptor has no createType"),
    (replace(b"RDONLY 67584", b"RDONLY 67585"), 1, "the descriptor has no extent of that capacity"),
    (replace(b"CID=", b"CIA="), 1, "the descriptor has no CID"),
    (replace(b"version=1", b"version=2"), 1, "the descriptor has no version=1"),
    (
        replace(b"parentCID=f", b"parentCID=0"),
        1,
        "the descriptor has no parentCID of a disk without a parent",
    ),
    (replace(b"# The Disk", b"# The\0Disk"), 1, "the descriptor is not plain text"),
    (replace(b"# The Disk", b"# The D\xe9sk"), 1, "the descriptor is not plain text"),
    (put(20, b"x", at=511), 1, "the descriptor is not plain text"),
    (put(21, b"x"), 21, "something between the descriptor and the first grain"),
    (put(127, b"x", at=511), 21, "something between the descriptor and the first grain"),
    (replace(b"uuid.image", b"uuid.imago"), 1, "the descriptor has no uuid"),
    (put(128, b"\x40"), 128, "a grain for sector 64 of the disk, where none can be"),
    (put(129, b"\0"), 129, "a grain for sector 0 of the disk, where none can be"),
    (put(129, b"\0\0\x02"), 129, "a grain for sector 131072 of the disk, where none can be"),
    (put(129, b"\0\0\x01"), 129, "a grain of the next table before this one's end"),
    (put(129, b"\xff\xff\xff", at=8), 129, "a grain of 16777215 bytes"),
    (put(129, b"\xff", at=20), 129, "the grain does not decompress to 64 KiB"),
    (put(129, b"x", at=511), 129, "the grain is not followed by zeros"),
    (put(130, b"\x05"), 130, "a marker of type 1 and 5 sectors"),
    (put(130, b"\x09", at=12), 130, "a marker of type 9 and 4 sectors"),
    (put(130, b"x", at=100), 130, "a marker that is not followed by zeros"),
    (put(130, b"\x02", at=12), 130, "the directory, before the last grain table"),
    (put(131, b"\x81"), 131, "the grain table does not say where the grains are"),
    (put(-4, b"\x81"), -4, "the grain directory does not say where the grains are"),
    (put(-3, b"\x02"), -3, "no footer marker"),
    (put(-2, b"\x01", at=4), -2, "the footer differs from the header"),
    (
        put(-2, b"\x01", at=56),
        -2,
        "the footer puts the directory at sector 1, it is at {directory}",
    ),
    (put(-1, b"x"), -1, "truncated: no end-of-stream marker"),
]


@pytest.mark.parametrize(("change", "sector", "what"), BROKEN)
def test_a_broken_file_is_refused_with_its_place(
    tmp_path: Path, vmdk_bytes: bytes, change: Change, sector: int, what: str
) -> None:
    out = tmp_path / "disk.vmdk"
    data = bytearray(vmdk_bytes)
    directory = len(data) // 512 - 4
    change(data)
    out.write_bytes(data)
    with pytest.raises(ToipLabError) as error:
        vmdk_reader.verify(out)
    sectors = len(data) // 512
    place = 512 * (sectors + sector if sector < 0 else sector)
    if what.endswith("not whole sectors"):
        place = 512 * sectors
    what = what.format(size=len(data), directory=directory)
    assert error.value.message == f"{out}: broken VMDK at byte {place}: {what}"


def test_a_changed_byte_is_seen_or_changes_no_data(
    tmp_path: Path, raw_disk: Path, vmdk_bytes: bytes
) -> None:
    out, back = tmp_path / "disk.vmdk", tmp_path / "back.raw"
    good, disk = vmdk_bytes, raw_disk.read_bytes()
    passed = []
    for place in [*range(0, 512, 5), *range(128 * 512, len(good), 41)]:
        bad = bytearray(good)
        bad[place] ^= 0x10
        out.write_bytes(bad)
        try:
            vmdk_reader.verify(out)
        except ToipLabError:
            continue
        passed.append(place)
        vmdk_reader.extract(out, back)
        assert back.read_bytes() == disk
    assert len(passed) <= 3  # bits that deflate does not use


def test_a_broken_file_leaves_no_extracted_disk(tmp_path: Path, vmdk_bytes: bytes) -> None:
    out, back = tmp_path / "disk.vmdk", tmp_path / "back.raw"
    out.write_bytes(vmdk_bytes[:-512])
    with pytest.raises(ToipLabError, match="no end-of-stream marker"):
        vmdk_reader.extract(out, back)
    assert not back.exists()
