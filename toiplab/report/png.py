"""Small PNG files (ISO/IEC 15948) of one byte for each pixel, the colours from a palette."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
EIGHT_BITS, INDEXED = 8, 3
Colour = tuple[int, int, int]


def write(pixels: NDArray[np.uint8], palette: Sequence[Colour]) -> bytes:
    """A picture of rows of palette indexes, from the top; at most 256 colours."""
    height, width = pixels.shape
    header = struct.pack("!IIBBBBB", width, height, EIGHT_BITS, INDEXED, 0, 0, 0)
    unfiltered = np.zeros((height, 1), np.uint8)  # each row begins with its filter: none
    rows = np.hstack([unfiltered, pixels]).tobytes()
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", bytes(part for colour in palette for part in colour)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))
