"""A bootable MBR disk, made of a file system and GRUB's two images.

No loop device, no mount and no root: the pieces are copied to where the BIOS, GRUB and
Linux look for them.

=============  ==================================================================
sector 0       GRUB's boot.img (440 bytes), disk signature, partition table
sector 1…      GRUB's core.img, in the gap before the first partition
sector 2048…   the root file system, partition 1
=============  ==================================================================
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from toiplab.errors import ToipLabError
from toiplab.image.files import data_extents, written_beside

SECTOR = 512
MIB = 1 << 20
PARTITION_START = MIB // SECTOR  # where fdisk and Debian's installer put it

BOOT_CODE_SIZE = 440  # the MBR's code ends where the disk signature begins
LINUX_PARTITION = 0x83
BOOTABLE = 0x80
MBR_MAGIC = b"\x55\xaa"
LAST_CYLINDER = 1023  # ten bits hold it

# GRUB, include/grub/i386/pc/boot.h
KERNEL_SECTOR_OFFSET = 0x5C
DRIVE_CHECK_OFFSET = 0x66
JUMP_OVER_DRIVE_CHECK = b"\xeb\x05"
NOP_NOP = b"\x90\x90"
# The block list in the last 12 bytes of core.img's first sector: start, length, segment.
BLOCK_LIST = struct.Struct("<QHH")
BLOCK_LIST_OFFSET = SECTOR - BLOCK_LIST.size
LOAD_SEGMENT = 0x820

# Linux, Documentation/filesystems/ext4: s_magic in the super block at byte 1024
EXT_MAGIC_OFFSET = 1024 + 0x38
EXT_MAGIC = b"\x53\xef"


def assemble(
    disk: Path, *, root_fs: Path, boot_img: bytes, core_img: bytes, signature: int
) -> None:
    """Write a raw, sparse disk with one bootable Linux partition.

    Args:
        disk: the file to make; its size is 1 MiB and the file system's, in whole MiB.
        root_fs: an ext4 file-system image; its holes stay holes.
        boot_img: GRUB's ``i386-pc/boot.img``.
        core_img: what ``grub-mkimage -O i386-pc`` made, with a prefix on partition 1.
        signature: the disk's 32-bit identity (the ``PARTUUID`` of Linux starts with it).

    Raises:
        ToipLabError: a piece is not what it should be, or does not fit.
    """
    root_size = _root_size(root_fs)
    boot_sector = _boot_sector(boot_img, signature, root_size // SECTOR)
    embedded = _embedded_core(core_img)
    with written_beside(disk) as out, root_fs.open("rb") as root:
        out.truncate(-(-(MIB + root_size) // MIB) * MIB)
        out.write(boot_sector + embedded)
        out.flush()
        _copy_sparse(root, out, at=MIB)


def _root_size(root_fs: Path) -> int:
    with root_fs.open("rb") as file:
        file.seek(EXT_MAGIC_OFFSET)
        magic = file.read(len(EXT_MAGIC))
    size = root_fs.stat().st_size
    if magic != EXT_MAGIC:
        raise ToipLabError(f"{root_fs}: not an ext4 file system (no magic at byte 1080)")
    if size % SECTOR or size // SECTOR >= 1 << 32:
        raise ToipLabError(
            f"{root_fs}: {size} bytes cannot be an MBR partition",
            hint="a partition is a whole number of 512-byte sectors, and less than 2 TiB",
        )
    return size


def _boot_sector(boot_img: bytes, signature: int, root_sectors: int) -> bytes:
    """The MBR, as GRUB's util/setup.c makes it for a hard disk."""
    if len(boot_img) != SECTOR or not boot_img.endswith(MBR_MAGIC):
        raise ToipLabError("boot.img: not a boot sector of 512 bytes ending in 55 aa")
    (kernel_sector,) = struct.unpack_from("<Q", boot_img, KERNEL_SECTOR_OFFSET)
    drive_check = boot_img[DRIVE_CHECK_OFFSET : DRIVE_CHECK_OFFSET + 2]
    if kernel_sector != 1 or drive_check not in (JUMP_OVER_DRIVE_CHECK, NOP_NOP):
        raise ToipLabError("boot.img: not GRUB's i386-pc/boot.img, which loads sector 1")
    sector = bytearray(SECTOR)
    sector[:BOOT_CODE_SIZE] = boot_img[:BOOT_CODE_SIZE]
    # On a hard disk setup.c lets the check of the BIOS's drive number run: a BIOS that
    # passes a bogus one (0 or 1) is then corrected to 0x80. boot.img jumps over it,
    # which is right for a floppy only.
    sector[DRIVE_CHECK_OFFSET : DRIVE_CHECK_OFFSET + 2] = NOP_NOP
    partition = struct.pack(
        "<B3sB3sII",
        BOOTABLE,
        _chs(PARTITION_START),
        LINUX_PARTITION,
        _chs(PARTITION_START + root_sectors - 1),
        PARTITION_START,
        root_sectors,
    )
    struct.pack_into("<I2x16s", sector, BOOT_CODE_SIZE, signature, partition)
    sector[-2:] = MBR_MAGIC
    return bytes(sector)


def _chs(lba: int) -> bytes:
    """A sector's address in the old form, with 255 heads and 63 sectors as everybody has."""
    cylinder, rest = divmod(lba, 255 * 63)
    head, sector = divmod(rest, 63)
    if cylinder > LAST_CYLINDER:
        return b"\xfe\xff\xff"
    return bytes((head, (sector + 1) | (cylinder >> 8) << 6, cylinder & 0xFF))


def _embedded_core(core_img: bytes) -> bytes:
    """core.img in whole sectors, once it is sure to find its own rest at sector 2.

    Its first sector (diskboot.img) loads the others from a block list. setup.c writes
    that list for the place it chose; grub-mkimage has already written the one for
    sector 1, with the right length, so that nothing needs a patch here.
    """
    sectors = -(-len(core_img) // SECTOR)
    if sectors >= PARTITION_START:
        raise ToipLabError(
            f"core.img: {len(core_img)} bytes do not fit before the first partition",
            hint=f"at most {(PARTITION_START - 1) * SECTOR}: give grub-mkimage fewer modules",
        )
    block_list = core_img[BLOCK_LIST_OFFSET:SECTOR]
    if not core_img or block_list != BLOCK_LIST.pack(2, sectors - 1, LOAD_SEGMENT):
        raise ToipLabError(
            "core.img: its first sector does not load the rest from sector 2",
            hint="make it with grub-mkimage -O i386-pc, which writes this block list",
        )
    return core_img.ljust(sectors * SECTOR, b"\0")


def _copy_sparse(source: BinaryIO, target: BinaryIO, *, at: int) -> None:
    """Copy a file's data, not its holes, to offset ``at`` of another."""
    for start, end in data_extents(source):
        os.lseek(target.fileno(), at + start, os.SEEK_SET)
        copied = start
        while copied < end:
            copied += os.sendfile(target.fileno(), source.fileno(), copied, end - copied)
