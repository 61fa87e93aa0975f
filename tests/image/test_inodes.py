"""Two images of the same files are the same, whenever their files were unpacked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.image.filesystem import EPOCH, make_ext4
from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.image.inodes import settle_times

# More folders than one block group has inodes, so that some lie in the next.
FOLDERS = 60


def image_of(folder: Path, image: Path, *, read: int = EPOCH + 7) -> Path:
    """An ext4 image of some files, last read at ``read``."""
    folder.mkdir()
    for number in range(FOLDERS):
        (folder / f"folder {number}").mkdir()
        (folder / f"folder {number}" / "file").write_text(str(number))
    (folder / "link").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (read, EPOCH - 5), follow_symlinks=False)
    return make_ext4(folder, image, options=("-b", "1024", "-N", "256", "-g", "1024"))


def test_images_made_at_different_times_are_the_same(tmp_path: Path) -> None:
    first = image_of(tmp_path / "a", tmp_path / "a.ext4")
    second = image_of(tmp_path / "b", tmp_path / "b.ext4", read=EPOCH + 8)
    assert first.read_bytes() != second.read_bytes()

    for image in (first, second):
        settle_times(image, EPOCH)

    assert first.read_bytes() == second.read_bytes()


def test_the_time_of_modification_stays_and_the_image_is_whole(tmp_path: Path) -> None:
    image = image_of(tmp_path / "a", tmp_path / "a.ext4")
    settle_times(image, EPOCH)

    said = host.run(["debugfs", "-R", "stat /link", image], env={"LC_ALL": "C"}).output
    times = {
        line.split(":")[0].strip(): int(line.split(":")[1], 16)
        for line in said.splitlines()
        if "time: 0x" in line
    }
    assert times == {"ctime": EPOCH, "atime": EPOCH, "mtime": EPOCH - 5, "crtime": EPOCH}
    subprocess.run([host.which("e2fsck") or "e2fsck", "-fn", image], check=True)


def test_what_is_no_file_system_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no file system" * 1000)
    with pytest.raises(ToipLabError, match="does not read it as ext4"):
        settle_times(tmp_path / "text", EPOCH)


def test_an_image_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    image = image_of(tmp_path / "a", tmp_path / "a.ext4")
    programs = tmp_path / "bin"
    programs.mkdir()
    # as one that may not write: it says so on standard error, and ends with status 0
    real = f'exec {host.which("debugfs")} "$@"'
    (programs / "debugfs").write_text(f"#!/bin/sh\n[ $1 != -w ] || shift\n{real}\n")
    (programs / "debugfs").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        with pytest.raises(ToipLabError, match="could not set the times"):
            settle_times(image, EPOCH)
