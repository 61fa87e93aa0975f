"""What a phone says and what it hears: tones are written, recordings are listened to.

All sound is a telephone's: 8000 samples in a second, one channel, 16 bits (ITU-T G.711 is
that, compressed). A tone is found by its energy at one frequency, block by block, which is
what a Goertzel filter computes; a spoken prompt is found by normalised cross-correlation
with the file it was played from.
"""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from toiplab import files
from toiplab.errors import ToipLabError

RATE = 8000  # samples in a second
FULL_SCALE = 32768.0
ULAW_CLIP, ULAW_BIAS = 32635, 132
BLOCK = 1600  # samples, 0.2 s: tones 5 Hz apart are told apart
LOUDNESS = 0.25  # of full scale: a voice on a telephone
SILENCE_DB = -50.0  # below that nobody would say that something was heard
SILENCE = 10 ** (SILENCE_DB / 10)  # the same, as the mean square of the samples
PURE = 0.85  # a block is a tone's if that much of its energy is at that frequency
PIECE = RATE // 2  # samples of a prompt that are looked for together

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What a recording holds.

    ``seconds`` of sound arrived, on the whole as loud as ``level`` (decibels below full
    scale, RMS). ``tones`` has every frequency (Hz) that was looked for, with the seconds in
    which it and hardly anything else was heard.
    """

    seconds: float
    level: float
    tones: tuple[tuple[int, float], ...] = ()

    @property
    def silent(self) -> bool:
        """Whether nothing could be heard: no sound arrived, or nothing but silence did."""
        return self.level < SILENCE_DB

    def seconds_of(self, tone: int) -> float:
        """For how many seconds that tone was heard."""
        return dict(self.tones).get(tone, 0.0)

    def ratio(self, tone: int) -> float:
        """The share of the recording, 0 to 1, that was that tone."""
        return self.seconds_of(tone) / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        if self.silent:
            return f"silence ({self.seconds:.1f} s)" if self.seconds else "no sound at all"
        heard = [f"{tone} Hz for {seconds:.1f} s" for tone, seconds in self.tones if seconds]
        return f"{', '.join(heard) or 'sound, no tone'} (of {self.seconds:.1f} s)"


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound of a telephone, its samples between -1 and 1."""

    samples: Samples

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a WAV file, also one that is still being written: its header is not yet true.

        Raises:
            ToipLabError: the file is no WAV file of a telephone's sound.
        """
        data = path.read_bytes()
        start = _data_chunk(data, path)
        whole = len(data) - (len(data) - start) % 2
        return cls(np.frombuffer(data[start:whole], dtype="<i2") / FULL_SCALE)

    @classmethod
    def from_ulaw(cls, data: bytes) -> Self:
        """Expand mu-law bytes (ITU-T G.711, table 2a), such as those of Asterisk's .ulaw files."""
        return cls(_ulaw_levels()[np.frombuffer(data, dtype=np.uint8)])

    @classmethod
    def join(cls, parts: Iterable[Recording]) -> Self:
        """Recordings one after another."""
        return cls(np.concatenate([np.zeros(0), *(part.samples for part in parts)]))

    def ulaw(self) -> bytes:
        """As mu-law bytes (ITU-T G.711): a sign, the power of two, and four bits below it."""
        levels = np.round(self.samples * FULL_SCALE).astype(np.int32)
        size = np.minimum(np.abs(levels), ULAW_CLIP) + ULAW_BIAS
        exponent = np.floor(np.log2(size)).astype(np.int32) - 7
        mantissa = (size >> (exponent + 3)) & 15
        sign = np.where(levels < 0, 128, 0)
        code: NDArray[np.uint8] = (~(sign | exponent << 4 | mantissa)).astype(np.uint8)
        return code.tobytes()

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE

    @property
    def level(self) -> float:
        """How loud it is, in decibels below full scale (RMS); minus infinity if empty."""
        energy = float(np.mean(self.samples**2)) if len(self.samples) else 0.0
        return 10 * float(np.log10(energy)) if energy > 0 else float("-inf")

    def since(self, second: float) -> Recording:
        """What was heard after the first ``second`` seconds."""
        return Recording(self.samples[round(second * RATE) :])

    def until(self, second: float) -> Recording:
        """What was heard in the first ``second`` seconds."""
        return Recording(self.samples[: round(second * RATE)])

    def heard(self, tones: Iterable[int]) -> Heard:
        """Which of the tones (Hz) it holds, and for how long."""
        blocks = _blocks(self.samples)
        found = tuple((tone, _seconds_of(blocks, tone)) for tone in tones)
        return Heard(self.seconds, self.level, found)

    def likeness(self, prompt: Recording) -> float:
        """How surely the prompt can be heard in it, 0 to 1; 1 is sample by sample.

        Each half second of the prompt is looked for by itself, since a packet lost on the
        way shifts all that follows; the loud ones count most. The last may be cut short by
        the end of the call.
        """
        heard = np.concatenate([self.samples, np.zeros(PIECE // 2)])
        pieces = [prompt.samples[at : at + PIECE] for at in range(0, len(prompt.samples), PIECE)]
        weights = [float(np.sum(piece**2)) for piece in pieces]
        if not sum(weights) or len(self.samples) < PIECE:
            return 0.0
        matches = [similarity for similarity, _ in _best_matches(heard, pieces)]
        return float(np.average(matches, weights=weights))

    def begins(self, prompt: Recording) -> float:
        """In which second the prompt's first half second is most likely heard."""
        ((_, sample),) = _best_matches(self.samples, [prompt.samples[:PIECE]])
        return sample / RATE


def write_tone(path: Path, tone: int, seconds: int) -> None:
    """Write a WAV file with a tone (whole Hz), or with silence if ``tone`` is 0."""
    at = np.arange(RATE) / RATE
    second = (LOUDNESS * (FULL_SCALE - 1) * np.sin(2 * np.pi * tone * at)).astype("<i2")
    with files.appearing(path) as beside, wave.open(str(beside), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(second.tobytes() * seconds)


def write_ulaw_tone(path: Path, tone: int) -> None:
    """Write one second of a tone as mu-law bytes, to be played over and over."""
    second = Recording(LOUDNESS * np.sin(2 * np.pi * tone * np.arange(RATE) / RATE))
    files.write(path, second.ulaw())


def _ulaw_levels() -> Samples:
    """The level that each mu-law byte stands for (ITU-T G.711, table 2a)."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = ((code >> 4) & 7).astype(np.int32)
    size = ((((code & 15).astype(np.int32) << 3) + 132) << exponent) - 132
    levels: Samples = np.where(code & 128, -size, size) / FULL_SCALE
    return levels


def _blocks(samples: Samples) -> Samples:
    """The samples in rows of one block each; what is left over at the end is left out."""
    count = len(samples) // BLOCK
    return samples[: count * BLOCK].reshape(count, BLOCK)


def _seconds_of(blocks: Samples, tone: int) -> float:
    """In how many seconds' worth of blocks most of the energy is at that frequency.

    By Parseval a sine of N samples has N/2 times its energy in |X(f)|²: the share is 1 for
    the tone alone, and 0 for another or for silence.
    """
    wave_of_tone = np.exp(-2j * np.pi * tone * np.arange(BLOCK) / RATE)
    energy = np.sum(blocks**2, axis=1)
    loud = energy > BLOCK * SILENCE
    share = 2 * np.abs(blocks @ wave_of_tone) ** 2 / BLOCK / np.where(loud, energy, 1)
    return float(np.count_nonzero(loud & (share > PURE))) * BLOCK / RATE


def _best_matches(samples: Samples, pieces: Iterable[Samples]) -> list[tuple[float, int]]:
    """For each piece, its highest normalised cross-correlation with any stretch of the samples.

    With it comes the sample at which that stretch begins.
    """
    size = 1 << (len(samples) + PIECE - 1).bit_length()
    spectrum = np.fft.rfft(samples, size)
    sums = np.concatenate([[0.0], np.cumsum(samples**2)])

    def best(piece: Samples) -> tuple[float, int]:
        own = float(np.sum(piece**2))
        if own == 0 or len(piece) > len(samples):
            return 0.0, 0
        crossed = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, size)), size)
        energy = np.maximum(sums[len(piece) :] - sums[: -len(piece)], len(piece) * SILENCE)
        similarity = crossed[: len(energy)] / np.sqrt(energy * own)
        place = int(np.argmax(similarity))
        return max(0.0, float(similarity[place])), place

    return [best(piece) for piece in pieces]


def _data_chunk(data: bytes, path: Path) -> int:
    """Where the samples of a WAV file begin (Microsoft's RIFF)."""
    at, telephone = 12, False
    while data[:4] == b"RIFF" and at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"fmt ":
            telephone = struct.unpack_from("<HHI6xH", data, at + 8) == (1, 1, RATE, 16)
        if name == b"data" and telephone:
            return at + 8
        at += 8 + size + size % 2
    raise ToipLabError(f"{path}: not a WAV file of {RATE} Hz, one channel, 16 bits")
