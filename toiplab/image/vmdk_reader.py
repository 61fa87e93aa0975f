"""Reading a streamOptimized VMDK back, strictly: every structure must agree with the rest.

Readers in the field differ in what they use of the file: QEMU the footer and the tables,
VirtualBox's import and VMware the stream of markers. A file that is right for one and
wrong for another must not ship, so everything is compared with everything.
"""

from __future__ import annotations

import os
import re
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import deflate

from toiplab.errors import ToipLabError
from toiplab.image import vmdk
from toiplab.image.files import written_beside
from toiplab.image.vmdk import GRAIN, GRAIN_SECTORS, SECTOR, TABLE_ENTRIES, VmdkInfo

TRAILER_SECTORS = 3  # footer marker, footer, end of stream
GRAIN_DATA_MAX = 2 * GRAIN  # far above zlib's worst case: a larger size is a broken marker


def verify(path: Path, *, offset: int = 0, size: int | None = None) -> VmdkInfo:
    """Check a streamOptimized VMDK from its header to its end-of-stream marker.

    Every grain is decompressed (zlib's checksum tells a flipped bit), and every table,
    the directory and the footer must say where the grains were seen.

    Args:
        path: the file that holds the VMDK.
        offset: where in it the VMDK begins, in bytes (a VMDK inside an OVA).
        size: its length in bytes; up to the end of the file by default.

    Raises:
        ToipLabError: naming the file, the offset and what is wrong there.
    """
    with path.open("rb") as file:
        reader = _Reader(path, file, offset, size)
        grains = sum(1 for _ in reader.grains())
        return VmdkInfo(reader.capacity, reader.uuid, reader.content_id, grains)


def extract(path: Path, raw: Path, *, offset: int = 0, size: int | None = None) -> None:
    """Write the disk that a VMDK holds to a raw, sparse file.

    Raises:
        ToipLabError: as ``verify``; nothing is left at ``raw`` then.
    """
    with path.open("rb") as file, written_beside(raw) as out:
        reader = _Reader(path, file, offset, size)
        out.truncate(reader.capacity)
        for first_sector, data in reader.grains():
            out.seek(first_sector * SECTOR)
            out.write(data)


class _Reader:
    """One pass over the file; positions are sectors of the VMDK, as in its own tables."""

    def __init__(self, path: Path, file: BinaryIO, offset: int, size: int | None) -> None:
        self.path = path
        self.file = file
        self.offset = offset
        length = os.fstat(file.fileno()).st_size - offset if size is None else size
        if length % SECTOR or length < (1 + TRAILER_SECTORS) * SECTOR:
            raise self._error(length // SECTOR, f"truncated: {length} bytes, not whole sectors")
        self.sectors = length // SECTOR
        self._read_header()
        self._read_trailer()
        self._read_descriptor()

    def grains(self) -> Iterator[tuple[int, bytes]]:
        """Every stored grain, as (first sector of the disk, 64 KiB of data), in order.

        The tables are checked on the way, the directory at the end.
        """
        directory = [0] * -(-self.capacity // (GRAIN * TABLE_ENTRIES))
        table = [0] * TABLE_ENTRIES
        number = last = -1
        sector = self.overhead
        while True:
            marker = self._read(sector, 1)
            value, length, kind = vmdk.MARKER.unpack(marker)
            if not length and marker != vmdk.MARKER.pack(value, 0, kind):
                raise self._error(sector, "a marker that is not followed by zeros")
            if length:
                grain = value // GRAIN_SECTORS
                if value % GRAIN_SECTORS or value * SECTOR >= self.capacity or grain <= last:
                    raise self._error(
                        sector, f"a grain for sector {value} of the disk, where none can be"
                    )
                if any(table) and grain // TABLE_ENTRIES != number:
                    raise self._error(sector, "a grain of the next table before this one's end")
                number, last = grain // TABLE_ENTRIES, grain
                table[grain % TABLE_ENTRIES] = sector
                data, sector = self._read_grain(sector, length)
                yield value, data
            elif kind == vmdk.GRAIN_TABLE and value == vmdk.TABLE_SECTORS:
                self._expect(sector + 1, table, "the grain table")
                if any(table):
                    directory[number] = sector + 1
                table = [0] * TABLE_ENTRIES
                sector += 1 + value
            elif kind == vmdk.GRAIN_DIRECTORY and value * SECTOR >= len(directory) * 4:
                break
            else:
                raise self._error(sector, f"a marker of type {kind} and {value} sectors")
        if any(table):
            raise self._error(sector, "the directory, before the last grain table")
        if self.directory != sector + 1:
            raise self._error(
                self.sectors - 2,
                f"the footer puts the directory at sector {self.directory}, it is at {sector + 1}",
            )
        self._expect(sector + 1, directory, "the grain directory")
        if sector + 1 + value != self.sectors - TRAILER_SECTORS:
            raise self._error(sector + 1 + value, "no footer after the grain directory")

    def _read_header(self) -> None:
        fields = vmdk.HEADER.unpack(self._read(0, 1))
        if fields[0] != vmdk.MAGIC:
            raise self._error(0, "no VMDK: it does not begin with KDMV")
        self.capacity = fields[3] * SECTOR
        self.descriptor_sectors = fields[6]
        self.overhead = fields[10]
        if self._read(0, 1) != self._header(vmdk.DIRECTORY_AT_END) or self.capacity % GRAIN:
            raise self._error(0, "the header is not a streamOptimized VMDK's")
        if not 0 < self.descriptor_sectors < self.overhead < self.sectors:
            raise self._error(0, "the header's descriptor and overhead do not fit the file")

    def _read_trailer(self) -> None:
        end = self.sectors
        if any(self._read(end - 1, 1)):
            raise self._error(end - 1, "truncated: no end-of-stream marker")
        if self._read(end - 3, 1) != vmdk.MARKER.pack(1, 0, vmdk.FOOTER):
            raise self._error(end - 3, "no footer marker")
        footer = self._read(end - 2, 1)
        self.directory = vmdk.HEADER.unpack(footer)[9]
        if footer != self._header(self.directory):
            raise self._error(end - 2, "the footer differs from the header")

    def _header(self, directory: int) -> bytes:
        return vmdk.header(
            self.capacity,
            directory=directory,
            descriptor_sectors=self.descriptor_sectors,
            overhead=self.overhead,
        )

    def _read_descriptor(self) -> None:
        end = 1 + self.descriptor_sectors
        if any(self._read(end, self.overhead - end)):
            raise self._error(end, "something between the descriptor and the first grain")
        text = self._read(1, self.descriptor_sectors).rstrip(b"\0").decode("latin-1")
        if not text.isascii() or "\0" in text:
            raise self._error(1, "the descriptor is not plain text")
        self._field(text, r"version=(1)", "version=1")
        self._field(text, r"parentCID=(ffffffff)", "parentCID of a disk without a parent")
        self._field(text, r'createType="(streamOptimized)"', "createType")
        self._field(
            text, rf'RDONLY ({self.capacity // SECTOR}) SPARSE ".+"', "extent of that capacity"
        )
        self.content_id = int(self._field(text, r"CID=([0-9a-f]{8})", "CID"), 16)
        self.uuid = uuid.UUID(self._field(text, r'ddb\.uuid\.image="([0-9a-f-]{36})"', "uuid"))

    def _field(self, text: str, pattern: str, what: str) -> str:
        found = re.search(f"^{pattern}$", text, re.MULTILINE)
        if not found:
            raise self._error(1, f"the descriptor has no {what}")
        return found[1]

    def _read_grain(self, sector: int, length: int) -> tuple[bytes, int]:
        """A grain's data, and the sector after it."""
        if length > GRAIN_DATA_MAX:
            raise self._error(sector, f"a grain of {length} bytes")
        sectors = -(-(vmdk.GRAIN_MARKER.size + length) // SECTOR)
        record = self._read(sector, sectors)[vmdk.GRAIN_MARKER.size :]
        if any(record[length:]):
            raise self._error(sector, "the grain is not followed by zeros")
        try:
            data = bytes(deflate.zlib_decompress(record[:length], GRAIN))
        except deflate.DeflateError:
            data = b""
        if len(data) != GRAIN:
            raise self._error(sector, "the grain does not decompress to 64 KiB")
        return data, sector + sectors

    def _expect(self, sector: int, entries: list[int], what: str) -> None:
        sectors = -(-len(entries) * 4 // SECTOR)
        expected = struct.pack(f"<{len(entries)}I", *entries).ljust(sectors * SECTOR, b"\0")
        if self._read(sector, sectors) != expected:
            raise self._error(sector, f"{what} does not say where the grains are")

    def _read(self, sector: int, sectors: int) -> bytes:
        if sector + sectors > self.sectors:
            raise self._error(sector, "truncated: the file ends inside a structure")
        length = sectors * SECTOR
        data = os.pread(self.file.fileno(), length, self.offset + sector * SECTOR)
        if len(data) != length:
            raise self._error(sector, "truncated: the file ends inside a structure")
        return data

    def _error(self, sector: int, what: str) -> ToipLabError:
        return ToipLabError(
            f"{self.path}: broken VMDK at byte {self.offset + sector * SECTOR}: {what}",
            hint="build or download the file again",
        )
