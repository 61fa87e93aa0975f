from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path

import pytest

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.image import disk

MIB = 1 << 20
SIGNATURE = 0x70697465


def boot_image(*, kernel_sector: int = 1, drive_check: bytes = b"\xeb\x05") -> bytes:
    """A boot sector with the fields that GRUB's boot.img has, and code everywhere else."""
    image = bytearray(b"\xcc" * 512)
    struct.pack_into("<Q", image, 0x5C, kernel_sector)
    image[0x66:0x68] = drive_check
    image[-2:] = b"\x55\xaa"
    return bytes(image)


def core_image(size: int, *, start: int = 2, length: int | None = None) -> bytes:
    """A core.img whose first sector ends in the block list that grub-mkimage writes."""
    image = bytearray(b"\xdd" * size)
    sectors = -(-size // 512) - 1 if length is None else length
    image[500:512] = struct.pack("<QHH", start, sectors, 0x820)
    return bytes(image)


@pytest.fixture
def root_fs(tmp_path: Path) -> Path:
    path = tmp_path / "root.ext4"
    mke2fs = host.which("mke2fs")
    if mke2fs is None:
        pytest.skip("mke2fs is not installed (package e2fsprogs)")
    subprocess.run([mke2fs, "-q", "-t", "ext4", path, "8500K"], check=True)
    return path


def test_every_piece_is_in_its_place(tmp_path: Path, root_fs: Path) -> None:
    boot, core, out = boot_image(), core_image(100_000), tmp_path / "disk.raw"
    disk.assemble(out, root_fs=root_fs, boot_img=boot, core_img=core, signature=SIGNATURE)
    data, root = out.read_bytes(), root_fs.read_bytes()
    assert data[:0x66] == boot[:0x66]
    assert data[0x66:0x68] == b"\x90\x90", "the BIOS's drive number is checked, as on a hard disk"
    assert data[0x68:440] == boot[0x68:440]
    assert data[512 : 512 + len(core)] == core
    assert not any(data[512 + len(core) : MIB])
    assert data[MIB : MIB + len(root)] == root
    assert not any(data[MIB + len(root) :])
    assert len(data) == 10 * MIB, "1 MiB and something over 8 MiB, in whole MiB"


def test_the_partition_table_as_sfdisk_reads_it(tmp_path: Path, root_fs: Path) -> None:
    sfdisk = host.which("sfdisk")
    if sfdisk is None:
        pytest.skip("sfdisk is not installed (package fdisk)")
    out = tmp_path / "disk.raw"
    disk.assemble(
        out, root_fs=root_fs, boot_img=boot_image(), core_img=core_image(512), signature=SIGNATURE
    )
    dump = subprocess.run([sfdisk, "--json", out], check=True, capture_output=True).stdout
    table = json.loads(dump)["partitiontable"]
    assert (table["label"], table["id"]) == ("dos", "0x70697465")
    (partition,) = table["partitions"]
    assert (partition["start"], partition["size"]) == (
        2048,
        root_fs.stat().st_size // 512,
    )
    assert (partition["type"], partition["bootable"]) == ("83", True)


def test_holes_stay_holes(tmp_path: Path, root_fs: Path) -> None:
    out = tmp_path / "disk.raw"
    disk.assemble(
        out, root_fs=root_fs, boot_img=boot_image(), core_img=core_image(512), signature=SIGNATURE
    )
    assert out.stat().st_blocks <= root_fs.stat().st_blocks + 64


BAD_PIECES = [
    (
        {"boot_img": b"short"},
        "boot.img: not a boot sector of 512 bytes ending in 55 aa",
    ),
    (
        {"boot_img": boot_image(kernel_sector=2048)},
        "boot.img: not GRUB's i386-pc/boot.img, which loads sector 1",
    ),
    (
        {"boot_img": boot_image(drive_check=b"\xcc\xcc")},
        "boot.img: not GRUB's i386-pc/boot.img, which loads sector 1",
    ),
    (
        {"core_img": core_image(2047 * 512 + 1)},
        "core.img: 1048065 bytes do not fit before the first partition",
    ),
    (
        {"core_img": core_image(5000, start=2048)},
        "core.img: its first sector does not load the rest from sector 2",
    ),
    (
        {"core_img": core_image(5000, length=3)},
        "core.img: its first sector does not load the rest from sector 2",
    ),
    ({"core_img": b""}, "core.img: its first sector does not load the rest from sector 2"),
]


@pytest.mark.parametrize(("piece", "message"), BAD_PIECES)
def test_a_bad_piece_is_refused_and_nothing_is_written(
    tmp_path: Path, root_fs: Path, piece: dict[str, bytes], message: str
) -> None:
    out = tmp_path / "disk.raw"
    pieces = {"boot_img": boot_image(), "core_img": core_image(512), **piece}
    with pytest.raises(ToipLabError) as error:
        disk.assemble(out, root_fs=root_fs, signature=SIGNATURE, **pieces)
    assert error.value.message == message
    assert not out.exists()


def test_the_largest_core_that_fits(tmp_path: Path, root_fs: Path) -> None:
    core, out = core_image(2047 * 512), tmp_path / "disk.raw"
    disk.assemble(out, root_fs=root_fs, boot_img=boot_image(), core_img=core, signature=SIGNATURE)
    assert out.read_bytes()[512:MIB] == core


def test_a_root_that_is_no_ext4(tmp_path: Path) -> None:
    root = tmp_path / "root.img"
    root.write_bytes(bytes(MIB))
    with pytest.raises(ToipLabError) as error:
        disk.assemble(
            tmp_path / "disk.raw",
            root_fs=root,
            boot_img=boot_image(),
            core_img=core_image(512),
            signature=SIGNATURE,
        )
    assert error.value.message == f"{root}: not an ext4 file system (no magic at byte 1080)"
