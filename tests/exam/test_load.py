"""Ten calls are counted by their sound: which captures are content, and which are not."""

from __future__ import annotations

import pytest

from tests.report.conftest import BEGAN, Wire
from toiplab.exam.registry import CheckFailedError
from toiplab.exam.scripted import SECONDS_OF_SPEECH, _sound

SERVER, PHONE = "192.168.100.17", "192.168.100.18"
CALLS = 2


@pytest.fixture
def wire():
    return Wire()


def speak(wire, stream, *, begins=1.0, seconds=SECONDS_OF_SPEECH):
    for number in range(seconds * 50):
        wire.rtp(begins + number / 50, (SERVER, 10000 + 2 * stream), (PHONE, 20000), number)


def told(subject, wire, tmp_path):
    return _sound(subject, wire.write(tmp_path / "lab.pcap"), BEGAN, CALLS)


def test_both_phones_of_every_call_are_spoken_to(subject, wire, tmp_path):
    for stream in range(2 * CALLS):
        speak(wire, stream)

    assert told(subject, wire, tmp_path) == "200 packets of sound in a second"


def test_what_was_before_is_not_counted(subject, wire, tmp_path):
    for stream in range(2 * CALLS):
        speak(wire, stream)
    speak(wire, 9, begins=-100)

    assert told(subject, wire, tmp_path) == "200 packets of sound in a second"


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ([{}] * 3, "streams of sound from the server: expected 4, saw 3"),
        (
            [{}] * 3 + [{"seconds": 3}],
            "streams of fewer than 270 packets: expected nothing, saw 150",
        ),
        ([{}] * 3 + [{"begins": 9.0}], "all at one time: expected yes, saw no"),
    ],
)
def test_calls_that_are_not_what_they_should_be(streams, message, subject, wire, tmp_path):
    for stream, options in enumerate(streams):
        speak(wire, stream, **options)

    with pytest.raises(CheckFailedError, match=message):
        told(subject, wire, tmp_path)
