"""The times in the inodes of an ext4 image, the same for every build of the same files.

mke2fs(8) takes a file's time of modification from the folder it copies, as it should, but
those of access and of change too: when the file was unpacked here. debugfs(8), of the same
package, sets them afterwards.
"""

from __future__ import annotations

from pathlib import Path

from toiplab.errors import ToipLabError
from toiplab.image.ext4 import Image

TIMES = ("atime", "ctime", "crtime")


def settle_times(image: Path, epoch: int) -> None:
    """Set every file's times of access, change and creation to one moment.

    The time of modification stays: it is part of what a package ships.

    Args:
        image: an ext4 file system that nothing has mounted.
        epoch: in seconds since 1970.

    Raises:
        ToipLabError: it is no ext4 file system, or cannot be written.
    """
    inodes = sorted({entry.inode for entry in Image(image).entries()})
    commands = [f"sif <{inode}> {time} @{epoch}" for inode in inodes for time in TIMES]
    *_, last = Image(image).ask([*commands, f"stat <{inodes[-1]}>"], write=True, epoch=epoch)
    if last.count(f"time: 0x{epoch:08x}") < len(TIMES):
        raise ToipLabError(
            f"{image}: debugfs could not set the times of its files",
            hint=f"see what it says: debugfs -w -R 'sif <2> atime @{epoch}' {image}",
        )
