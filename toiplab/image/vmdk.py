"""streamOptimized VMDK: the compressed disk that an OVA carries. Format and writer.

Written after VMware's "Virtual Disk Format 1.1" (section "Stream-Optimized Compressed
Sparse Extents"). The file, in sectors of 512 bytes:

    header │ descriptor │ grains, each 512 followed by their grain table │
    grain directory │ footer (the header again, with the directory's place) │ end of stream

Everything after the header stands behind a marker, so that a reader can take the file as
a stream. A grain is 64 KiB of disk as one zlib stream; grains of zeros are left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import uuid
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import deflate

from toiplab.errors import ToipLabError
from toiplab.image.files import data_extents, written_beside

SECTOR = 512
GRAIN = 64 << 10
GRAIN_SECTORS = GRAIN // SECTOR
TABLE_ENTRIES = 512
TABLE_SECTORS = TABLE_ENTRIES * 4 // SECTOR
DESCRIPTOR_SECTORS = 20
OVERHEAD_SECTORS = 128  # header and descriptor, filled up to a whole grain

# magic, version, flags; capacity, grain size, descriptor offset and size; entries per
# table; redundant directory, directory, overhead; unclean; newline test; compression
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH433x")
MARKER = struct.Struct("<QII496x")  # sectors that follow, 0, type
GRAIN_MARKER = struct.Struct("<QI")  # the grain's first sector, compressed bytes

MAGIC = b"KDMV"
VERSION = 3
FLAGS = 1 << 0 | 1 << 16 | 1 << 17  # newline test valid; compressed grains; markers
NEWLINE_TEST = b"\n \r\n"
DEFLATE = 1
DIRECTORY_AT_END = (1 << 64) - 1

END_OF_STREAM, GRAIN_TABLE, GRAIN_DIRECTORY, FOOTER = range(4)

CHUNK = 16 * GRAIN  # what a thread compresses at a time
CHUNKS_IN_FLIGHT = 4  # per thread: bounds the memory used
ZERO_GRAIN = bytes(GRAIN)

DESCRIPTOR = """\
# Disk DescriptorFile
version=1
CID={content_id:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.adapterType="ide"
ddb.geometry.cylinders="{cylinders}"
ddb.geometry.heads="16"
ddb.geometry.sectors="63"
ddb.uuid.image="{uuid}"
ddb.uuid.parent="00000000-0000-0000-0000-000000000000"
ddb.uuid.modification="00000000-0000-0000-0000-000000000000"
ddb.uuid.parentmodification="00000000-0000-0000-0000-000000000000"
"""
FILE_NAME = re.compile(r"[A-Za-z0-9._-]+")
CYLINDERS_MAX = 16383  # ATA's limit, at 16 heads and 63 sectors


class Compression(StrEnum):
    """How hard a disk is compressed: ``docs/image.md`` has the figures."""

    FAST = "fast"
    BEST = "best"

    @property
    def level(self) -> int:
        """Its level of libdeflate, of 0 to 12.

        5 is the quickest that is smaller than zlib's usual 6; 12 tries everything.
        """
        return 5 if self is Compression.FAST else 12


@dataclass(frozen=True)
class VmdkInfo:
    """What a VMDK says of its disk.

    ``capacity`` is in bytes, a multiple of 64 KiB; ``uuid`` and ``content_id`` derive
    from the content; ``grains`` counts the 64 KiB pieces that are stored.
    """

    capacity: int
    uuid: uuid.UUID
    content_id: int
    grains: int


def write(
    raw: Path,
    path: Path,
    *,
    threads: int | None = None,
    compression: Compression = Compression.FAST,
) -> VmdkInfo:
    """Write a raw disk as a streamOptimized VMDK, in one pass over its data.

    The bytes depend on the disk's content, the file's name and ``compression`` alone.

    Args:
        raw: the disk; its holes are never read. A last, unfinished grain is filled with
            zeros, as the format wants a capacity of whole grains.
        path: the VMDK to make; its name goes into the descriptor.
        threads: how many compress at once; by default one per processor.
        compression: how hard to compress.

    Raises:
        ToipLabError: the disk is empty, or a file cannot be read or written.
    """
    if not FILE_NAME.fullmatch(path.name):
        raise ToipLabError(
            f"{path}: {path.name!r} cannot name a VMDK",
            hint="use letters, digits, dots, dashes and underscores",
        )
    threads = threads or os.cpu_count() or 1
    size = raw.stat().st_size
    if size == 0:
        raise ToipLabError(f"{raw}: an empty file is no disk")
    with raw.open("rb") as disk, written_beside(path) as out:
        stream = _Stream(out, capacity=-(-size // GRAIN) * GRAIN)
        with closing(_compressed_grains(disk, threads, compression.level)) as grains:
            for first_sector, compressed in grains:
                stream.add_grain(first_sector, compressed)
        return stream.finish(path.name)


def _compressed_grains(
    disk: BinaryIO, threads: int, level: int
) -> Generator[tuple[int, bytes], None, None]:
    """The disk's grains that hold data, in order, compressed on ``threads`` threads."""
    pending: deque[Future[list[tuple[int, bytes]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for offset in _chunks(disk):
            if len(pending) >= threads * CHUNKS_IN_FLIGHT:
                yield from pending.popleft().result()
            pending.append(pool.submit(_compress_chunk, disk.fileno(), offset, level))
        while pending:
            yield from pending.popleft().result()


def _chunks(disk: BinaryIO) -> Iterator[int]:
    """The offsets of the chunks that are not all hole."""
    following = 0
    for start, end in data_extents(disk):
        first = max(following, start - start % CHUNK)
        yield from range(first, end, CHUNK)
        following = -(-end // CHUNK) * CHUNK


def _compress_chunk(descriptor: int, offset: int, level: int) -> list[tuple[int, bytes]]:
    data = os.pread(descriptor, CHUNK, offset)
    data = data.ljust(-(-len(data) // GRAIN) * GRAIN, b"\0")
    grains = ((at, data[at : at + GRAIN]) for at in range(0, len(data), GRAIN))
    return [
        ((offset + at) // SECTOR, bytes(deflate.zlib_compress(grain, level)))
        for at, grain in grains
        if grain != ZERO_GRAIN
    ]


class _Stream:
    """The growing file: it keeps the tables, and closes each when its grains are in."""

    def __init__(self, out: BinaryIO, *, capacity: int) -> None:
        self.out = out
        self.capacity = capacity
        tables = -(-capacity // (GRAIN * TABLE_ENTRIES))
        self.directory = [0] * tables
        self.table = [0] * TABLE_ENTRIES
        self.table_number = 0
        self.grains = 0
        self.identity = hashlib.sha256(str(capacity).encode())
        self.sector = OVERHEAD_SECTORS
        out.seek(OVERHEAD_SECTORS * SECTOR)

    def add_grain(self, first_sector: int, compressed: bytes) -> None:
        table, entry = divmod(first_sector // GRAIN_SECTORS, TABLE_ENTRIES)
        if table != self.table_number:
            self._end_table()
            self.table_number = table
        self.table[entry] = self.sector
        record = GRAIN_MARKER.pack(first_sector, len(compressed)) + compressed
        self.identity.update(record)
        self._write(record)
        self.grains += 1

    def finish(self, name: str) -> VmdkInfo:
        self._end_table()
        self._write_marker(GRAIN_DIRECTORY, -(-len(self.directory) * 4 // SECTOR))
        directory_sector = self.sector
        self._write(struct.pack(f"<{len(self.directory)}I", *self.directory))
        self._write_marker(FOOTER, 1)
        self._write(header(self.capacity, directory=directory_sector))
        self._write_marker(END_OF_STREAM, 0)
        identity = uuid.uuid5(uuid.NAMESPACE_OID, self.identity.hexdigest())
        info = VmdkInfo(self.capacity, identity, int(identity) & 0xFFFFFFFE, self.grains)
        # The descriptor names what only the whole content tells: it comes last.
        self.out.seek(0)
        self.out.write(header(self.capacity, directory=DIRECTORY_AT_END))
        self.out.write(_descriptor(info, name))
        return info

    def _end_table(self) -> None:
        if any(self.table):
            self._write_marker(GRAIN_TABLE, TABLE_SECTORS)
            self.directory[self.table_number] = self.sector
            self._write(struct.pack(f"<{TABLE_ENTRIES}I", *self.table))
            self.table = [0] * TABLE_ENTRIES

    def _write_marker(self, kind: int, sectors: int) -> None:
        self._write(MARKER.pack(sectors, 0, kind))

    def _write(self, data: bytes) -> None:
        sectors = -(-len(data) // SECTOR)
        self.out.write(data.ljust(sectors * SECTOR, b"\0"))
        self.sector += sectors


def header(
    capacity: int,
    *,
    directory: int,
    descriptor_sectors: int = DESCRIPTOR_SECTORS,
    overhead: int = OVERHEAD_SECTORS,
) -> bytes:
    """The sparse extent header; the footer is the same with the directory's sector."""
    return HEADER.pack(
        MAGIC,
        VERSION,
        FLAGS,
        capacity // SECTOR,
        GRAIN_SECTORS,
        1,
        descriptor_sectors,
        TABLE_ENTRIES,
        0,
        directory,
        overhead,
        0,
        NEWLINE_TEST,
        DEFLATE,
    )


def _descriptor(info: VmdkInfo, name: str) -> bytes:
    sectors = info.capacity // SECTOR
    text = DESCRIPTOR.format(
        content_id=info.content_id,
        sectors=sectors,
        name=name,
        cylinders=min(sectors // (16 * 63), CYLINDERS_MAX),
        uuid=info.uuid,
    )
    return text.encode().ljust(DESCRIPTOR_SECTORS * SECTOR, b"\0")
