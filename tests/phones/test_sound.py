from __future__ import annotations

import wave

import numpy as np
import pytest

from toiplab.errors import ToipLabError
from toiplab.phones.sound import RATE, Heard, Recording, write_tone, write_ulaw_tone

TONES = (440, 620, 810, 1050)


def tone(hz, seconds=1.0, loudness=0.25):
    at = np.arange(round(seconds * RATE)) / RATE
    return Recording(loudness * np.sin(2 * np.pi * hz * at))


def noise(seconds, seed=7, loudness=0.1):
    return Recording(np.random.default_rng(seed).normal(0, loudness, round(seconds * RATE)))


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "tone.wav"
    write_tone(path, 440, 2)
    return path


def test_a_tone_is_written_as_telephone_sound_and_heard_in_what_was_written(written):
    with wave.open(str(written)) as file:
        assert file.getparams()[:4] == (1, 2, RATE, 2 * RATE)

    heard = Recording.read(written).heard(TONES)

    assert heard.ratio(440) == 1.0
    assert [heard.ratio(other) for other in TONES[1:]] == [0, 0, 0]
    assert str(heard) == "440 Hz for 2.0 s (of 2.0 s)"


@pytest.mark.parametrize("loudness", [0.25, 0.01])
@pytest.mark.parametrize("hz", TONES)
def test_each_tone_is_told_from_the_others(hz, loudness):
    heard = tone(hz, loudness=loudness).heard(TONES)

    assert {t: heard.ratio(t) for t in TONES} == {t: float(t == hz) for t in TONES}


@pytest.mark.parametrize(
    "recording",
    [
        pytest.param(noise(2), id="noise"),
        pytest.param(Recording(np.zeros(2 * RATE)), id="silence"),
        pytest.param(tone(440, loudness=0.001), id="too soft to be heard"),
        pytest.param(Recording(np.zeros(0)), id="nothing"),
        pytest.param(Recording(tone(440).samples + tone(1050).samples), id="two at once"),
        pytest.param(tone(450), id="another tone"),
    ],
)
def test_where_no_tone_is_alone_none_is_heard(recording):
    assert recording.heard(TONES).ratio(440) == 0


def test_what_is_heard_one_after_another_is_timed():
    heard = Recording.join([tone(440, 1), noise(1), tone(620, 2)]).heard(TONES)

    assert heard.seconds_of(440) == pytest.approx(1)
    assert heard.seconds_of(620) == pytest.approx(2)
    assert heard.seconds == 4


@pytest.mark.parametrize(
    ("recording", "told"),
    [
        (Recording(np.zeros(0)), "no sound at all"),
        (Recording(np.zeros(RATE)), "silence (1.0 s)"),
        (noise(1), "sound, no tone (of 1.0 s)"),
    ],
)
def test_what_was_heard_is_told(recording, told):
    assert str(recording.heard(TONES)) == told


def test_silence_is_silent_and_sound_is_not():
    assert Recording(np.zeros(RATE)).heard(TONES).silent
    assert not noise(1).heard(TONES).silent
    assert Heard(0, float("-inf")).silent


def test_a_file_that_is_still_being_written_is_read(written):
    whole = written.read_bytes()
    begun = whole[:40] + (0).to_bytes(4, "little") + whole[44 : 44 + 8001]
    written.write_bytes(begun)

    assert Recording.read(written).seconds == 0.5


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wave file at all, but some text"])
def test_what_is_no_recording_is_refused(tmp_path, content):
    path = tmp_path / "x.wav"
    path.write_bytes(content)

    with pytest.raises(ToipLabError) as error:
        Recording.read(path)

    assert str(error.value) == f"{path}: not a WAV file of 8000 Hz, one channel, 16 bits"


def test_mu_law_is_expanded(tmp_path):
    path = tmp_path / "tone.ulaw"
    write_ulaw_tone(path, 620)
    data = path.read_bytes()

    assert len(data) == RATE
    assert Recording.from_ulaw(data).heard(TONES).ratio(620) == 1.0
    # The ends and the middle of ITU-T G.711's table 2a, in 16 bits
    assert [round(s * 32768) for s in Recording.from_ulaw(b"\x00\x80\x7f\xff\x2f").samples] == [
        -32124,
        32124,
        0,
        0,
        -4092,
    ]


def test_a_prompt_is_found_where_it_was_played_and_another_is_not():
    french, english = noise(2.3, seed=1), noise(2.3, seed=2)
    played = Recording.join([noise(1, loudness=0.01), french, tone(1000)])

    assert played.likeness(french) > 0.99
    assert played.likeness(english) < 0.2


def test_a_prompt_that_lost_a_packet_on_the_way_is_still_found():
    french = noise(2.3, seed=1)
    lost = Recording.join([french.until(1.1), french.since(1.12)])

    assert lost.likeness(french) > 0.8


@pytest.mark.parametrize(
    ("recording", "prompt"),
    [
        (Recording(np.zeros(0)), noise(1)),
        (Recording(np.zeros(2 * RATE)), noise(1)),
        (noise(1), Recording(np.zeros(RATE))),
        (noise(0.2), noise(1)),
    ],
)
def test_nothing_is_like_silence(recording, prompt):
    assert recording.likeness(prompt) == 0
