from __future__ import annotations

import re
import socket
import subprocess
import time
from contextlib import suppress
from ipaddress import IPv4Address
from xml.parsers import expat

import pytest

from tests.exam.registrar import Registrar
from toiplab.errors import ToipLabError
from toiplab.host import which
from toiplab.phones.baresip import Baresip
from toiplab.phones.handset import Account, Place
from toiplab.phones.sipp import Sipp, Tally, _scenario, read_answer, read_tally
from toiplab.phones.sound import write_ulaw_tone

needs_sipp = pytest.mark.skipif(which("sipp") is None, reason="sip-tester is not installed")
needs_baresip = pytest.mark.skipif(which("baresip") is None, reason="baresip is not installed")
LOOPBACK = IPv4Address("127.0.0.1")
SECRETS = {"2001": "un-secret", "2002": "autre-secret"}
ANSWER = """\
2026-11-24 23:19:21 [v=0
o=root 1 1 IN IP4 127.0.0.1
m=audio 10038 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
m=video 0 RTP/AVP 99
a=rtpmap:99 H264/90000
]
v=0
m=audio 1 RTP/AVP 8
"""
STATISTICS = (
    "StartTime;CurrentTime;SuccessfulCall(C);FailedCall(C);\n"
    "2026-11-24\t23:19:22.1\t1795562362.1;2026-11-24\t23:19:22.2\t1795562362.2;0;0;\n"
    "2026-11-24\t23:19:22.1\t1795562362.1;2026-11-24\t23:19:24.6\t1795562364.6;5;1;\n"
)


@pytest.fixture
def server():
    with Registrar(dict(SECRETS)) as server:
        yield server


@pytest.fixture
def sipp(server, tmp_path):
    return Sipp(Place(LOOPBACK, server.port), tmp_path)


@needs_sipp
def test_phones_register_with_their_secrets(sipp, server):
    tally = sipp.register([Account(number, secret) for number, secret in SECRETS.items()], rate=50)

    assert (tally.well, tally.failed, tally.refusal) == (2, 0, "")
    assert set(server.contacts) == set(SECRETS)
    assert tally.rate > 2


@needs_sipp
def test_registrations_are_taken_back(sipp, server):
    accounts = [Account(number, secret) for number, secret in SECRETS.items()]
    sipp.register(accounts, rate=50)

    assert sipp.take_back(accounts).well == 2
    assert server.contacts == {}


@needs_sipp
def test_a_wrong_secret_fails_in_the_servers_words(sipp, server):
    accounts = [Account("2001", "wrong"), Account("2002", SECRETS["2002"])]

    tally = sipp.register(accounts, rate=50)

    assert (tally.well, tally.failed, tally.refusal) == (1, 1, "403 Forbidden")
    assert set(server.contacts) == {"2002"}


@needs_sipp
def test_no_secret_is_in_the_arguments_or_stays_in_a_file(sipp, tmp_path, monkeypatch):
    seen = []
    run = subprocess.Popen

    def recorded(argv, **options):
        seen.extend(argv)
        return run(argv, **options)

    monkeypatch.setattr(subprocess, "Popen", recorded)
    sipp.register([Account("2001", SECRETS["2001"])])

    assert "-inf" in seen
    assert not any(SECRETS["2001"] in word for word in seen)
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert left
    assert not any(SECRETS["2001"].encode() in file.read_bytes() for file in left)


@needs_sipp
def test_a_sipp_that_cannot_run_is_an_error_that_names_its_log(tmp_path):
    sipp = Sipp(Place(LOOPBACK, runner=lambda argv: ["sh", "-c", "echo no; exit 3"]), tmp_path)

    with pytest.raises(ToipLabError) as error:
        sipp.register([Account("2001", "x")])

    assert "sipp ended with status 3" in str(error.value)
    assert f"log: {tmp_path}/register.log" in str(error.value)


@needs_sipp
@needs_baresip
def test_what_answers_speaks_and_hears_the_end(sipp, tmp_path):
    sound = tmp_path / "tone.ulaw"
    write_ulaw_tone(sound, 810)
    with (
        sipp.answering(11987, sound=sound),
        Baresip(Account("100"), tone=440, folder=tmp_path) as phone,
    ):
        phone.call("sip:anyone@127.0.0.1:11987")
        phone.wait_established()

        assert phone.listen(0.4).heard([440, 810]).ratio(810) >= 0.5
        phone.hang_up()
        phone.wait_closed()


@pytest.mark.parametrize("video", [True, False])
@pytest.mark.parametrize("sound", ["", "a & b.ulaw"])
def test_scenarios_are_xml(tmp_path, video, sound):
    settings = {"video": video, "sound": sound, "milliseconds": 500, "expires": 0}
    for name in ("register", "call", "answer"):
        text = _scenario(tmp_path, name, settings).read_text()
        expat.ParserCreate().Parse(text, True)
        for message in re.findall(r"<!\[CDATA\[(.*?)\]\]>", text, re.DOTALL):
            # a blank line ends a SIP message's headers
            head, _, body = message.strip().partition("\n\n")
            assert "Content-Length:" in head
            assert not body or body.strip().startswith("v=0")
    text = (tmp_path / "call.xml").read_text()
    assert ("m=video" in text) == video


def test_an_answer_is_read_with_the_names_of_its_formats():
    assert [(m.kind, m.port, m.names) for m in read_answer(ANSWER)] == [
        ("audio", 10038, ("PCMU", "telephone-event")),
        ("video", 0, ("H264",)),
    ]
    assert read_answer("") == ()
    (audio,) = read_answer("v=0\nm=audio 9 RTP/AVP 8 18\n")
    assert audio.names == ("PCMA", "18")


def test_a_tally_counts_all_and_tells_the_first_refusal():
    errors = (
        "Aborting call on unexpected message for Call-Id '1-2@x': while expecting '200' "
        "(index 4), received 'SIP/2.0 403 Forbidden\r\nVia: …'\n"
        "… received 'SIP/2.0 503 Service Unavailable\r\n"
    )

    tally = read_tally(STATISTICS, errors, "")

    assert tally == Tally(well=5, failed=1, seconds=2.5, refusal="403 Forbidden", refused_at=4)
    assert tally.rate == 2
    assert tally.medium("audio") is None


class SlowServer:
    """Calls SIPp, and asks again before it has read the answer, as a server under load does."""

    def __init__(self, port):
        self.port = port
        self.signals, self.sound = (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)
        )
        for end in (self.signals, self.sound):
            end.bind((str(LOOPBACK), 0))
            end.settimeout(0.5)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.signals.close()
        self.sound.close()

    def say(self, method, number, tag="", body=""):
        own = f"{LOOPBACK}:{self.signals.getsockname()[1]}"
        lines = (
            f"{method} sip:5002@{LOOPBACK}:{self.port} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{number}",
            f"From: <sip:5001@{own}>;tag=a",
            f"To: <sip:5002@{LOOPBACK}>{tag}",
            f"Call-ID: 1@{own}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:5001@{own}>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        )
        message = "\r\n".join(lines) + "\r\n\r\n" + body
        self.signals.sendto(message.encode(), (str(LOOPBACK), self.port))

    def ask(self, body):
        """Until SIPp is there, and has answered."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.say("INVITE", 102, body=body)
            with suppress(TimeoutError):
                while "200 OK" not in (answer := self.signals.recv(4096).decode()):
                    pass
                return answer
        raise AssertionError("SIPp does not answer")

    def call(self):
        port = self.sound.getsockname()[1]
        body = f"v=0\r\nc=IN IP4 {LOOPBACK}\r\nm=audio {port} RTP/AVP 0\r\n"
        answer = self.ask(body)
        self.say("INVITE", 102, body=body)
        tag = re.search(r"^To: [^;]*(;tag=\S+)", answer, re.MULTILINE)[1]
        self.say("ACK", 102, tag=tag)
        self.sound.settimeout(10)
        return self.sound.recv(4096)


@needs_sipp
def test_a_call_that_is_offered_twice_is_answered_once_and_spoken_to(tmp_path):
    sound = tmp_path / "tone.ulaw"
    write_ulaw_tone(sound, 440)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((str(LOOPBACK), 0))
        port = free.getsockname()[1]

    with (
        Sipp(Place(LOOPBACK), tmp_path).answering(port, sound=sound),
        SlowServer(port) as server,
    ):
        assert len(server.call()) > 12
