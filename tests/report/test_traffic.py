from __future__ import annotations

import pytest

from tests.report.conftest import BEGAN, SERVER, a_call, sdp
from toiplab.report.traffic import Kind, Traffic, without_pins
from toiplab.wire import pcap

NAT_PHONE = ("10.0.2.2", 12345)


@pytest.fixture
def traffic(tmp_path):
    def of(*wires):
        files = [wire.write(tmp_path / f"{place}.pcap") for place, wire in enumerate(wires)]
        return Traffic(datagram for file in files for datagram in pcap.read(file))

    return of


def told(arrows):
    return [(round(a.at - BEGAN, 2), a.source, a.target, a.label, a.times) for a in arrows]


CALL = [
    (1.0, "5001", "Asterisk", "INVITE", 2),
    (1.6, "Asterisk", "5002", "INVITE", 1),
    (1.7, "5002", "Asterisk", "180 Ringing (INVITE)", 1),
    (1.8, "Asterisk", "5001", "180 Ringing (INVITE)", 1),
    (2.0, "Asterisk", "5001", "200 OK (INVITE)", 1),
    (2.1, "5001", "Asterisk", "sound 2.0 s, PCMU, 101 packets", 101),
    (2.5, "5001", "Asterisk", "7", 1),
    (3.0, "5001", "Asterisk", "0", 1),
    (5.0, "5001", "Asterisk", "BYE", 1),
    (5.1, "Asterisk", "5001", "404 Not Found (BYE)", 1),
]


def test_a_call(call, traffic):
    arrows = traffic(call).arrows(BEGAN + 0.5, BEGAN + 9, ["5001", "5002"])
    assert told(arrows) == CALL


def test_behind_nat_the_sdp_has_another_address(traffic):
    wire = a_call(caller=NAT_PHONE, told="127.0.0.1")
    arrows = traffic(wire).arrows(BEGAN + 0.5, BEGAN + 9, ["5001", "5002"])
    assert told(arrows) == CALL


def test_the_kinds_of_arrows(call, traffic):
    arrows = traffic(call).arrows(BEGAN, BEGAN + 9, ["5001"])
    assert {arrow.label: arrow.kind for arrow in arrows} == {
        "REGISTER": Kind.REQUEST,
        "INVITE": Kind.REQUEST,
        "180 Ringing (INVITE)": Kind.ANSWER,
        "200 OK (INVITE)": Kind.ANSWER,
        "sound 2.0 s, PCMU, 101 packets": Kind.SOUND,
        "7": Kind.KEY,
        "0": Kind.KEY,
        "BYE": Kind.REQUEST,
        "404 Not Found (BYE)": Kind.REFUSAL,
    }


def test_only_the_phones_and_the_time_of_the_check(call, traffic):
    seen = traffic(call)
    assert {a.phone for a in seen.arrows(BEGAN, BEGAN + 9, ["5002"])} == {"5002"}
    assert told(seen.arrows(BEGAN + 4.5, BEGAN + 5.05, ["5001"])) == [
        (5.0, "5001", "Asterisk", "BYE", 1)
    ]
    assert seen.arrows(BEGAN, BEGAN + 9, ["2001"]) == []


def test_an_address_belongs_to_who_registered_from_it_last(wire, traffic):
    wire.register(0, NAT_PHONE, "5001")
    wire.register(10, NAT_PHONE, "5002")
    seen = traffic(wire)
    assert [a.source for a in seen.arrows(BEGAN, BEGAN + 5, ["5001", "5002"])] == ["5001"]
    assert [a.source for a in seen.arrows(BEGAN + 5, BEGAN + 15, ["5001", "5002"])] == ["5002"]


def test_a_phone_that_calls_without_registering(call, traffic):
    call.sip(6, NAT_PHONE, SERVER, "INVITE sip:1@a SIP/2.0", who="5003", to="1", cseq="1 INVITE")
    arrows = traffic(call).arrows(BEGAN, BEGAN + 9, ["5003"])
    assert told(arrows) == [(6.0, "5003", "Asterisk", "INVITE", 1)]


def test_a_challenge_is_no_refusal(wire, traffic):
    wire.register(0, NAT_PHONE, "5001")
    for at, first in ((1, "SIP/2.0 401 Unauthorized"), (2, "SIP/2.0 403 Forbidden")):
        wire.sip(at, SERVER, NAT_PHONE, first, who="5001", to="5001", cseq="1 REGISTER")
    kinds = [arrow.kind for arrow in traffic(wire).arrows(BEGAN, BEGAN + 9, ["5001"])]
    assert kinds == [Kind.REQUEST, Kind.ANSWER, Kind.REFUSAL]


def test_a_pause_ends_a_stream_and_video_is_another(wire, traffic):
    wire.register(0, NAT_PHONE, "5001")
    answer = sdp(SERVER[0], 10000, video=10004)
    wire.sip(1, SERVER, NAT_PHONE, "SIP/2.0 200 OK", who="5001", to="5002", cseq="2 I", body=answer)
    for at in (2.0, 2.02, 4.0):
        wire.rtp(at, (SERVER[0], 10000), ("10.0.2.2", 20000), 1)
    wire.rtp(2.5, (SERVER[0], 10004), ("10.0.2.2", 20002), 1, kind=97)
    arrows = traffic(wire).arrows(BEGAN + 1.5, BEGAN + 9, ["5001"])
    assert [arrow.label for arrow in arrows] == [
        "sound 0.0 s, PCMU, 2 packets",
        "video 0.0 s, H264, 1 packet",
        "sound 0.0 s, PCMU, 1 packet",
    ]


def test_two_captures_are_one_story(call, wire, traffic):
    wire.register(0.05, NAT_PHONE, "2001")
    arrows = traffic(call, wire).arrows(BEGAN, BEGAN + 0.5, ["5001", "5002", "2001"])
    assert [arrow.source for arrow in arrows] == ["5001", "2001", "5002"]


@pytest.mark.parametrize(
    ("pins", "shown"),
    [((), "70"), (("70",), "••"), (("7",), "•0"), (("",), "70"), (("1234",), "70")],
)
def test_a_pin_cannot_be_read(call, traffic, pins, shown):
    arrows = without_pins(traffic(call).arrows(BEGAN, BEGAN + 9, ["5001"]), pins)
    assert "".join(arrow.label for arrow in arrows if arrow.kind is Kind.KEY) == shown
