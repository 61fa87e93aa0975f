"""Captures: the UDP datagrams of a classic pcap file, as libpcap's pcap-savefile(5) has it.

The files are our own and QEMU's: little-endian, microseconds, Ethernet (LINKTYPE 1).
"""

from __future__ import annotations

import struct
from pathlib import Path
from socket import inet_ntoa
from typing import NamedTuple

from toiplab.errors import ToipLabError

FILE_HEADER = struct.Struct("<IHHiIII")  # magic, version twice, zone, sigfigs, snaplen, link
RECORD = struct.Struct("<IIII")  # seconds, microseconds, bytes kept, bytes there were
MAGIC, ETHERNET = 0xA1B2C3D4, 1

# Ethernet II, RFC 791, RFC 768
ETHERNET_BYTES, UDP_BYTES = 14, 8
TYPE_AND_VERSION = struct.Struct("!12xHB")
ETHERTYPE_IPV4, IPV4, UDP = 0x0800, 4, 17
FRAGMENT_OFFSET = 0x1FFF
QEMU_SNAPLEN = 65536  # of its filter-dump, unless told otherwise; our own recorder's is less


class Endpoint(NamedTuple):
    """An IPv4 address in dotted form, and a UDP port."""

    address: str
    port: int


class Datagram(NamedTuple):
    """One UDP datagram; ``at`` is in seconds since 1970."""

    at: float
    source: Endpoint
    target: Endpoint
    payload: bytes


def read(path: Path) -> list[Datagram]:
    """The datagrams of a capture, by the host's clock, in the order they came.

    QEMU's frames are stamped with the second in which the capture began plus all the time
    that the machine has run (net/dump.c), and so are ahead, or a little behind. Each was
    written the moment it came: the file's own time is the last one's, and tells how far. A
    last record that was cut short is left out, and so are fragments (RFC 791) but the first.

    Raises:
        ToipLabError: it cannot be read, or is no such capture.
    """
    try:
        data, written = path.read_bytes(), path.stat().st_mtime
    except OSError as error:
        raise ToipLabError(f"{path}: cannot be read: {error.strerror}") from error
    header = data[: FILE_HEADER.size].ljust(FILE_HEADER.size, bytes(1))
    magic, *_, snaplen, link = FILE_HEADER.unpack(header)
    if (magic, link) != (MAGIC, ETHERNET):
        raise ToipLabError(
            f"{path}: not a capture that the report can read",
            hint="a pcap file (not pcapng), little-endian, with microseconds, of Ethernet",
        )
    frames = _frames(data)
    ahead = frames[-1][0] - written if frames and snaplen == QEMU_SNAPLEN else 0.0
    found = (_datagram(at - ahead, frame) for at, frame in frames)
    return [datagram for datagram in found if datagram is not None]


def _frames(data: bytes) -> list[tuple[float, bytes]]:
    frames, at = [], FILE_HEADER.size
    while at + RECORD.size <= len(data):
        seconds, microseconds, kept, _ = RECORD.unpack_from(data, at)
        at += RECORD.size
        if at + kept > len(data):
            break
        frames.append((seconds + microseconds / 1e6, data[at : at + kept]))
        at += kept
    return frames


def _datagram(at: float, frame: bytes) -> Datagram | None:
    """The frame's datagram, if it is IPv4 and UDP."""
    if len(frame) < ETHERNET_BYTES + 20 + UDP_BYTES:
        return None
    kind, version = TYPE_AND_VERSION.unpack_from(frame)
    if (kind, version >> 4, frame[23]) != (ETHERTYPE_IPV4, IPV4, UDP):
        return None
    (fragment,) = struct.unpack_from("!H", frame, 20)
    udp = ETHERNET_BYTES + (version & 15) * 4
    if fragment & FRAGMENT_OFFSET or len(frame) < udp + UDP_BYTES:
        return None
    source, target, length = struct.unpack_from("!HHH", frame, udp)
    return Datagram(
        at,
        Endpoint(inet_ntoa(frame[26:30]), source),
        Endpoint(inet_ntoa(frame[30:34]), target),
        frame[udp + UDP_BYTES : udp + length],
    )
