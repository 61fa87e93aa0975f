"""Large files: written beside their final name, and read without their holes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from toiplab.errors import ToipLabError
from toiplab.files import appearing


@contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the name ``path`` only once the block has ended well.

    Raises:
        ToipLabError: the file cannot be written (full disk, no permission).
    """
    try:
        with appearing(path) as beside, beside.open("w+b") as file:
            yield file
    except OSError as error:
        raise ToipLabError(f"{path}: cannot be written: {error.strerror or error}") from error


def data_extents(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The stretches of a file that are not holes, as (start, end) in bytes.

    A file system that knows no holes reports the whole file as data: lseek(2), SEEK_DATA.
    """
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end
