"""Sound on its way: RTP packets (RFC 3550 section 5.1) and the keys among them (RFC 4733)."""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct("!BBHII")  # version…, marker and type, sequence, timestamp, source
VERSION = 2
REPORTS = range(72, 77)  # what the types of RTCP's packets look like (RFC 5761 section 4)
KEYS = "0123456789*#ABCD"  # RFC 4733 section 3.2
KEY_EVENTS = "telephone-event"


class Packet(NamedTuple):
    """One packet of a stream."""

    type: int
    timestamp: int
    payload: bytes


def parse(datagram: bytes) -> Packet | None:
    """The packet in a datagram; None if it holds something else, such as a report."""
    if len(datagram) < HEADER.size or datagram[0] >> 6 != VERSION:
        return None
    first, marked, _, timestamp, _ = HEADER.unpack_from(datagram)
    if (kind := marked & 0x7F) in REPORTS:
        return None
    return Packet(kind, timestamp, datagram[HEADER.size + 4 * (first & 15) :])


def key(packet: Packet) -> str:
    """The key that a telephone-event packet tells of; empty for other events."""
    event = packet.payload[0] if packet.payload else len(KEYS)
    return KEYS[event] if event < len(KEYS) else ""
