"""A small capture of a call, made packet by packet."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from toiplab.phones.sound import write_tone

BEGAN = 1_700_000_000.0
SERVER = ("192.168.10.1", 5060)
RECORD = struct.Struct("<IIII")


def frame(source, target, payload):
    """An Ethernet frame with an IPv4 UDP datagram; checksums are not filled in."""
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    ends = IPv4Address(source[0]).packed + IPv4Address(target[0]).packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends
    return bytes(12) + b"\x08\x00" + ip + udp


@dataclass
class Wire:
    """What goes over the network, to be written as a capture."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def send(self, at, source, target, payload):
        self.frames.append((BEGAN + at, frame(source, target, payload)))

    def sip(self, at, source, target, first, *, who, to, cseq, body="", call="c1", branch="b"):
        lines = (
            first,
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bK{branch};rport",
            f"f: <sip:{who}@192.168.10.1>;tag=1",
            f"To: <sip:{to}@192.168.10.1>",
            f"Call-ID: {call}",
            f"CSeq: {cseq}",
        )
        self.send(at, source, target, ("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def register(self, at, phone, number):
        first = f"REGISTER sip:{SERVER[0]} SIP/2.0"
        self.sip(at, phone, SERVER, first, who=number, to=number, cseq="1 REGISTER", call=number)

    def rtp(self, at, source, target, number, *, kind=0, timestamp=None, payload=bytes(160)):
        stamp = 160 * number if timestamp is None else timestamp
        self.send(at, source, target, struct.pack("!BBHII", 0x80, kind, number, stamp, 7) + payload)

    def key(self, at, source, target, event, *, timestamp):
        for number in range(6):
            self.rtp(
                at + number / 50,
                source,
                target,
                number,
                kind=101,
                timestamp=timestamp,
                payload=bytes([event, 10, 0, 160]),
            )

    def write(self, path, *, ahead=0.0, snaplen=2048):
        """A capture whose clock is ahead of the host's; the file is as old as its last frame."""
        frames = sorted(self.frames)
        records = b"".join(
            RECORD.pack(*divmod(round((at + ahead) * 1e6), 10**6), len(sent), len(sent)) + sent
            for at, sent in frames
        )
        path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1) + records)
        os.utime(path, (frames[-1][0], frames[-1][0]))
        return path


def sdp(address, port, *, video=0):
    lines = (
        "v=0",
        f"c=IN IP4 {address}",
        f"m=audio {port} RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        *([f"m=video {video} RTP/AVP 97", "a=rtpmap:97 H264/90000"] if video else []),
    )
    return "\r\n".join(lines) + "\r\n"


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def call():
    """5001 registers, calls 5002 by way of the server, presses 7 and 0, and hangs up."""
    return a_call()


def a_call(caller=("192.168.100.18", 5060), told="192.168.100.18"):
    wire, called = Wire(), ("192.168.100.19", 5060)
    invite = {"who": "5001", "to": "5002", "cseq": "2 INVITE"}
    onward = {**invite, "call": "c2", "branch": "x"}
    sound, answered = (caller[0], 20000), (SERVER[0], 10002)
    wire.register(0.0, caller, "5001")
    wire.register(0.1, called, "5002")
    ask = "INVITE sip:5002@192.168.10.1 SIP/2.0"
    wire.sip(1.0, caller, SERVER, ask, **invite, body=sdp(told, 20000))
    wire.sip(1.5, caller, SERVER, ask, **invite, body=sdp(told, 20000))  # again: not heard
    wire.sip(1.6, SERVER, called, "INVITE sip:5002@a SIP/2.0", **onward, body=sdp(SERVER[0], 10010))
    wire.sip(1.7, called, SERVER, "SIP/2.0 180 Ringing", **onward)
    wire.sip(1.8, SERVER, caller, "SIP/2.0 180 Ringing", **invite)
    wire.sip(2.0, SERVER, caller, "SIP/2.0 200 OK", **invite, body=sdp(*answered))
    for number in range(101):
        wire.rtp(2.1 + number / 50, sound, answered, number)
    wire.key(2.5, sound, answered, 7, timestamp=80000)
    wire.key(3.0, sound, answered, 0, timestamp=84000)
    wire.send(3.5, sound, (SERVER[0], 10003), bytes([0x80, 200, 0, 6]) + bytes(24))  # RTCP
    bye = {**invite, "cseq": "3 BYE"}
    wire.sip(5.0, caller, SERVER, "BYE sip:5002@192.168.10.1 SIP/2.0", **bye)
    wire.sip(5.1, SERVER, caller, "SIP/2.0 404 Not Found", **bye)
    return wire


@pytest.fixture
def phones_folder(tmp_path):
    return a_folder(tmp_path / "calls")


def a_folder(folder):
    """What 5001 heard: three seconds of a tone, and a call in which nothing was heard."""
    (folder / "5001").mkdir(parents=True)
    write_tone(folder / "5001/1-dump-a-dec.wav", 440, 3)
    (folder / "5001/dump-b-dec.wav").write_bytes(b"RIFF")
    return folder
