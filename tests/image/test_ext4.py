"""An ext4 file system that lies in a disk: what was deleted is dropped, what is there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.filesystem import make_ext4
from toiplab.errors import ToipLabError
from toiplab.image.disk import MIB
from toiplab.image.ext4 import Image

SECRET = b"what was deleted".ljust(4096, b"!")


@pytest.fixture
def disk(tmp_path: Path) -> Image:
    """A disk whose file system, at 1 MiB, holds a file, and a deleted one's blocks."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "kept").write_bytes(b"what is there".ljust(5000, b"."))
    (folder / "deleted").write_bytes(SECRET * 40)
    content = make_ext4(folder, tmp_path / "root.ext4").read_bytes()
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(MIB) + content)
    image = Image(path, MIB)
    image.ask(["rm /deleted", "ls /"], write=True)
    return image


def test_free_blocks_become_holes(disk: Image, tmp_path: Path) -> None:
    assert SECRET in disk.path.read_bytes()
    blocks = disk.path.stat().st_blocks

    disk.drop_free_blocks(tmp_path / "log")

    assert SECRET not in disk.path.read_bytes()
    assert disk.path.stat().st_blocks < blocks
    disk.extract("/kept", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"what is there".ljust(5000, b".")


def test_a_count_that_is_off_is_mended(disk: Image, tmp_path: Path) -> None:
    disk.ask(["set_inode_field /kept blocks 99", "ls /"], write=True)

    disk.drop_free_blocks(tmp_path / "log")

    assert "i_blocks is 99" in (tmp_path / "log").read_text()
    assert SECRET not in disk.path.read_bytes()


def test_what_is_no_file_system_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(9 * MIB))

    with pytest.raises(ToipLabError, match="e2fsck"):
        Image(path, MIB).drop_free_blocks(tmp_path / "log")
