"""Records what goes over a bridge into a pcap file on standard output, until its input ends.

It is run by itself inside the lab's namespace and needs nothing but Python: tcpdump gives
root's rights up in a way that a user namespace does not allow, and what it has not read
when it is told to end is lost. This reads the kernel's ring of frames (packet(7),
PACKET_RX_RING) empty before it ends, and fails if the kernel had to drop one.
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO

READY = "recording"

# linux/if_packet.h, linux/if_ether.h; Python's socket module has none of them.
SOL_PACKET, ETH_P_ALL = 263, 3
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 1, 5, 6, 10
PACKET_MR_PROMISC, TPACKET_V2, TP_STATUS_KERNEL = 1, 1, 0
TPACKET2_HDR = struct.Struct("IIIHHII")  # status, len, snaplen, mac, net, sec, nsec
TPACKET_STATS = struct.Struct("II")  # packets, drops

# Room for the frames of a second with many calls. A frame's place holds its header too.
BLOCK_BYTES, BLOCKS, PLACE_BYTES = 1 << 16, 128, 2048
PLACES = BLOCK_BYTES // PLACE_BYTES * BLOCKS

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, PLACE_BYTES, 1)  # pcap-savefile(5)
PCAP_RECORD = struct.Struct("<IIII")  # seconds, microseconds, bytes kept, bytes there were


class Ring:
    """The frames that an interface sees, in memory shared with the kernel."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        request = struct.pack("IIII", BLOCK_BYTES, BLOCKS, PLACE_BYTES, PLACES)
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        self._memory = mmap.mmap(self.socket.fileno(), BLOCK_BYTES * BLOCKS)
        self._next = 0
        # Promiscuous, a bridge shows what it only passes on, too.
        member = struct.pack("iHH8x", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
        self.socket.bind((interface, ETH_P_ALL))

    def records(self) -> Iterator[bytes]:
        """Every frame that is there now, as a record of a pcap file."""
        while True:
            place = self._next * PLACE_BYTES
            header = TPACKET2_HDR.unpack_from(self._memory, place)
            status, length, kept, start, _net, seconds, nanoseconds = header
            if status == TP_STATUS_KERNEL:
                return
            frame = self._memory[place + start : place + start + kept]
            yield PCAP_RECORD.pack(seconds, nanoseconds // 1000, kept, length) + frame
            struct.pack_into("I", self._memory, place, TP_STATUS_KERNEL)
            self._next = (self._next + 1) % PLACES

    def dropped(self) -> int:
        """How many frames found no place."""
        size = TPACKET_STATS.size
        _packets, drops = TPACKET_STATS.unpack(
            self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, size)
        )
        return int(drops)


def record(interface: str, until: BinaryIO, output: BinaryIO) -> int:
    """Record until ``until`` ends; how many frames were lost."""
    ring = Ring(interface)
    output.write(PCAP_HEADER)
    output.flush()
    print(READY, file=sys.stderr, flush=True)
    ended = False
    while not ended:
        readable, _, _ = select.select([ring.socket, until], [], [])
        ended = until in readable  # the ring is read once more after this
        for written in ring.records():
            output.write(written)
        output.flush()
    return ring.dropped()


if __name__ == "__main__":
    if lost := record(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer):
        sys.exit(f"{lost} frames came too fast and are lost")
