"""A small ext4 image of a folder, made as the appliance's is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toiplab import host
from toiplab.builders.root import MKE2FS_CONF, SCRIPTS

EPOCH = 1_662_805_020
UUID = "12345678-1234-5678-1234-567812345678"


def make_ext4(folder: Path, image: Path, *, options: Sequence[str] = ()) -> Path:
    """An image of 8 MiB, without a journal, which needs more."""
    with image.open("wb") as out:
        out.truncate(8 << 20)
    fixed = ("-q", "-F", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-U", UUID)
    host.run(
        ["mke2fs", *fixed, "-E", f"hash_seed={UUID}", *options, "-d", folder, image],
        env={
            "E2FSPROGS_FAKE_TIME": str(EPOCH),
            "MKE2FS_CONFIG": str(SCRIPTS / MKE2FS_CONF),
            "LC_ALL": "C.UTF-8",
        },
    )
    return image
