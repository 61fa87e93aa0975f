"""Files that appear complete or not at all: written beside, flushed, renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; it becomes ``path`` if the block succeeds.

    On any failure, an interruption included, what was written is removed and a former
    ``path`` stays as it was.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; with the file's name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as error:
        # write(2) on a full disk tells no name, and which disk is full is what matters
        error.filename = error.filename or str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Give a finished file its place, copying it only where that is on another disk.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with appearing(target) as beside:
            shutil.copyfile(path, beside)
        path.unlink()


def write(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file whole, with exactly this mode from its first byte on."""
    with appearing(path) as beside:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as out:
            os.fchmod(out.fileno(), mode)
            out.write(content)


def private(path: Path) -> BinaryIO:
    """Open a file to write, which only its user may read."""
    out = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    os.fchmod(out.fileno(), 0o600)
    return out


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or make a second file of it where that cannot be.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without such links
        shutil.copyfile(source, target)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
