from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from toiplab.phones.sound import Recording
from toiplab.report import png, recordings, spectrum


def tone(hertz, seconds, loudness=0.25):
    at = np.arange(round(8000 * seconds)) / 8000
    return Recording(loudness * np.sin(2 * np.pi * hertz * at))


def pixels(picture):
    """The rows of a picture of one byte for each pixel."""
    width, height = struct.unpack_from("!II", picture, 16)
    start = picture.index(b"IDAT")
    (size,) = struct.unpack_from("!I", picture, start - 4)
    rows = zlib.decompress(picture[start + 4 : start + 4 + size])
    return np.frombuffer(rows, np.uint8).reshape(height, width + 1)[:, 1:]


def test_what_phones_heard_by_number_and_call(phones_folder):
    (phones_folder / "5002").mkdir()
    found = recordings.find(phones_folder, ["5001", "5002", "5003"])
    assert [(one.number, one.call, one.file.name) for one in found] == [
        ("5001", 1, "1-dump-a-dec.wav")
    ]
    assert recordings.find(None, ["5001"]) == []


@pytest.mark.parametrize(
    ("seconds", "most", "each"),
    [
        pytest.param([], 700, 60, id="none"),
        pytest.param([10, 20], 700, 60, id="all fit"),
        pytest.param([500], 700, 60, id="no one is longer than a minute"),
        pytest.param([30, 30, 30], 30, 10, id="shared"),
        pytest.param([2, 30, 30], 30, 14, id="what a short one leaves is shared"),
    ],
)
def test_how_much_of_each_recording_is_shown(seconds, most, each):
    assert recordings.limit(seconds, most) == each
    assert sum(min(length, each) for length in seconds) <= most


def test_mu_law_is_the_sound_again():
    ramp = Recording(np.linspace(-1, 1 - 1 / 32768, 9999))
    back = Recording.from_ulaw(ramp.ulaw())
    error = np.abs(back.samples - ramp.samples)
    assert np.all(error <= (np.abs(ramp.samples) + 148 / 32768) / 32)  # half a step


def test_a_wav_file_of_mu_law():
    wav = recordings.mulaw_wav(tone(440, 0.1))
    assert wav[:4] + wav[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack_from("<I", wav, 4) == (len(wav) - 8,)
    assert struct.unpack_from("<HHIIHH", wav, 20) == (7, 1, 8000, 8000, 1, 8)
    assert wav[-808:-800] == b"data" + struct.pack("<I", 800)


def test_a_clip_is_the_beginning(phones_folder):
    [heard] = recordings.find(phones_folder, ["5001"])
    clip = recordings.clip(heard, 2.0)
    assert (clip.seconds, clip.shown) == (3, 2)
    assert len(clip.wav) == 16000 + 58
    assert clip.picture.startswith(b"\x89PNG")


def test_a_tone_is_a_bright_line_at_its_height():
    rows = pixels(spectrum.picture(tone(1000, 2))).astype(int).sum(axis=1)
    brightest = len(rows) - 1 - int(np.argmax(rows))
    assert brightest * 4000 / len(rows) == pytest.approx(1000, abs=40)


def test_silence_is_dark_and_a_short_sound_has_a_picture():
    assert not pixels(spectrum.picture(Recording(np.zeros(8000)))).any()
    assert pixels(spectrum.picture(Recording(np.zeros(3)))).shape == (128, 1)


def test_a_picture_is_whole():
    picture = png.write(np.array([[0, 1], [1, 0]], np.uint8), [(0, 0, 0), (255, 255, 255)])
    assert pixels(picture).tolist() == [[0, 1], [1, 0]]
    assert picture.endswith(b"IEND\xaeB`\x82")
