from __future__ import annotations

import os

import pytest

from tests.report.conftest import BEGAN, SERVER, Wire
from toiplab.errors import ToipLabError
from toiplab.wire import pcap
from toiplab.wire.pcap import Endpoint

PHONE = ("10.0.2.2", 12345)


@pytest.fixture
def wire():
    return Wire()


def test_the_datagrams_of_a_capture(wire, tmp_path):
    wire.send(0.25, PHONE, SERVER, b"hello")
    [datagram] = pcap.read(wire.write(tmp_path / "a.pcap"))
    assert datagram == (BEGAN + 0.25, Endpoint(*PHONE), Endpoint(*SERVER), b"hello")


def test_what_is_no_ipv4_datagram_is_left_out(wire, tmp_path):
    wire.send(0, PHONE, SERVER, b"whole")
    sent = wire.frames[0][1]
    ipv6 = sent[:12] + b"\x86\xdd" + sent[14:]
    tcp = sent[:23] + b"\x06" + sent[24:]
    fragment = sent[:20] + b"\x00\x10" + sent[22:]
    wire.frames += [(BEGAN, other) for other in (ipv6, tcp, fragment, sent[:30])]
    assert [d.payload for d in pcap.read(wire.write(tmp_path / "a.pcap"))] == [b"whole"]


def test_a_record_that_was_cut_short_is_left_out(wire, tmp_path):
    wire.send(0, PHONE, SERVER, b"first")
    wire.send(1, PHONE, SERVER, b"second")
    path = wire.write(tmp_path / "a.pcap")
    path.write_bytes(path.read_bytes()[:-3])
    assert [d.payload for d in pcap.read(path)] == [b"first"]


@pytest.mark.parametrize("ahead", [43.7, -0.4])
def test_a_capture_of_qemu_is_put_right_by_the_files_own_time(wire, tmp_path, ahead):
    wire.send(0, PHONE, SERVER, b"first")
    wire.send(5, PHONE, SERVER, b"last")
    path = wire.write(tmp_path / "a.pcap", ahead=ahead, snaplen=pcap.QEMU_SNAPLEN)
    assert [d.at for d in pcap.read(path)] == pytest.approx([BEGAN, BEGAN + 5], abs=1e-3)


def test_our_own_capture_has_the_hosts_clock(wire, tmp_path):
    wire.send(0, PHONE, SERVER, b"first")
    path = wire.write(tmp_path / "a.pcap")
    os.utime(path, (0, 0))
    assert [d.at for d in pcap.read(path)] == [BEGAN]


def test_an_empty_capture(wire, tmp_path):
    wire.send(0, PHONE, SERVER, b"")
    path = wire.write(tmp_path / "a.pcap")
    path.write_bytes(path.read_bytes()[:24])
    assert pcap.read(path) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes.fromhex("0a0d0d0a") + bytes(40), id="pcapng"),
        pytest.param(bytes.fromhex("d4c3b2a1") + bytes(16) + b"\x71\0\0\0", id="not Ethernet"),
    ],
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "a.pcap"
    path.write_bytes(content)
    with pytest.raises(ToipLabError) as refused:
        pcap.read(path)
    assert str(refused.value) == (
        f"{path}: not a capture that the report can read\n"
        "  a pcap file (not pcapng), little-endian, with microseconds, of Ethernet"
    )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ToipLabError, match=r"a\.pcap: cannot be read: No such file"):
        pcap.read(tmp_path / "a.pcap")
