"""What phones heard: their recordings, made small enough for a page, with pictures."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toiplab.errors import ToipLabError
from toiplab.phones.sound import RATE, Recording
from toiplab.report import spectrum

RECORDINGS = "*-dec.wav"
SHORTEST_SECONDS = 0.2
LONGEST_SECONDS = 60.0
ALL_SECONDS = 700.0  # of the whole page: a second is 8000 bytes, a third more in base 64
# RIFF's format tag 7 is mu-law, which browsers play (Microsoft's mmreg.h, WAVE_FORMAT_MULAW).
MULAW, CHANNELS, BITS = 7, 1, 8
FULL_SCALE = 32768


@dataclass(frozen=True)
class Heard:
    """One call's recording: the number of its phone, and where among that phone's calls."""

    number: str
    call: int
    file: Path
    recording: Recording


@dataclass(frozen=True)
class Clip:
    """A recording as the page holds it; ``seconds`` is how long it was, ``shown`` is kept."""

    number: str
    call: int
    file: Path
    seconds: float
    shown: float
    level: float
    wav: bytes
    picture: bytes


def find(folder: Path | None, numbers: Iterable[str]) -> list[Heard]:
    """What those phones heard, by phone and call; what cannot be read is left out."""
    if folder is None:
        return []
    found = []
    for number in numbers:
        for call, file in enumerate(sorted((folder / number).glob(RECORDINGS)), 1):
            try:
                recording = Recording.read(file)
            except (ToipLabError, OSError):
                continue  # no call ever stood: the file was begun, and holds no sound
            if recording.seconds >= SHORTEST_SECONDS:
                found.append(Heard(number, call, file, recording))
    return found


def limit(seconds: Sequence[float], most: float = ALL_SECONDS) -> float:
    """How many seconds of each recording a page has room for, so that all fit in ``most``."""
    share = LONGEST_SECONDS
    rest, left = most, len(seconds)
    for length in sorted(seconds):
        share = min(LONGEST_SECONDS, rest / left)
        if length > share:
            return share
        rest, left = rest - length, left - 1
    return LONGEST_SECONDS


def clip(heard: Heard, seconds: float) -> Clip:
    """The beginning of a recording, at most that long."""
    beginning = heard.recording.until(seconds)
    return Clip(
        number=heard.number,
        call=heard.call,
        file=heard.file,
        seconds=heard.recording.seconds,
        shown=beginning.seconds,
        level=heard.recording.level,
        wav=mulaw_wav(beginning),
        picture=spectrum.picture(beginning),
    )


def mulaw_wav(recording: Recording) -> bytes:
    """A WAV file of mu-law bytes, half as big as one of 16 bits."""
    data = recording.ulaw()
    form = struct.pack("<HHIIHHH", MULAW, CHANNELS, RATE, RATE, CHANNELS, BITS, 0)
    chunks = b"".join(
        struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)
        for name, content in (
            (b"fmt ", form),
            (b"fact", struct.pack("<I", len(data))),
            (b"data", data),
        )
    )
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks
