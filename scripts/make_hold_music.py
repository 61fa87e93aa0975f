#!/usr/bin/env python3
"""Make the music on hold: our own melody, plucked strings, as an MP3 of 8 kHz mono.

    scripts/make_hold_music.py overlay/var/lib/asterisk/moh/toip-lab.mp3

Needs lame. The strings are Karplus-Strong: a burst of noise in a delay line that
averages itself. 8 kHz mono is what Asterisk plays without resampling.
"""

from __future__ import annotations

import array
import random
import subprocess
import sys
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

RATE = 8000
BEAT = 0.28  # seconds
# A pentatonic round over two bass notes, in semitones from A3.
MELODY = (0, 7, 12, 10, 7, 12, 14, 10, 3, 7, 12, 15, 14, 12, 10, 7)
BASS = (-12, -12, -9, -9, -14, -14, -12, -12)
ROUNDS = 7


def pluck(semitones: int, seconds: float, noise: random.Random) -> list[float]:
    """One plucked string."""
    period = round(RATE / (220 * 2 ** (semitones / 12)))
    line = [noise.uniform(-1, 1) for _ in range(period)]
    samples = []
    for n in range(int(seconds * RATE)):
        here, after = line[n % period], line[(n + 1) % period]
        line[n % period] = 0.4975 * (here + after)
        samples.append(here)
    return samples


def tune() -> array.array[int]:
    """The whole melody as 16-bit samples."""
    noise = random.Random(10_13)  # noqa: S311 - a sound, and the same one every time
    total = [0.0] * int((len(MELODY) * ROUNDS + 8) * BEAT * RATE)

    def add(at: float, samples: list[float], volume: float) -> None:
        start = int(at * RATE)
        for n, sample in enumerate(samples[: len(total) - start]):
            total[start + n] += volume * sample

    for turn in range(ROUNDS):
        for step, note in enumerate(MELODY):
            beat = turn * len(MELODY) + step
            add(beat * BEAT, pluck(note + 12 * (turn % 2), 1.4, noise), 0.5)
            if step % 2 == 0:
                add(beat * BEAT, pluck(BASS[step // 2], 1.8, noise), 0.6)
    peak = max(abs(sample) for sample in total)
    return array.array("h", (int(sample / peak * 22000) for sample in total))


def main(target: Path) -> None:
    """Write the MP3."""
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "tune.wav"
        with wave.open(str(plain), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            out.writeframes(tune().tobytes())
        subprocess.run(
            ["lame", "--quiet", "-m", "m", "-b", "24", "--resample", "8", "-t", plain, target],
            check=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
