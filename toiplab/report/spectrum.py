"""The spectrum of a recording over time, as a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toiplab.phones.sound import Recording
from toiplab.report import png

WINDOW = 256  # samples, 32 ms: 31 Hz for each row of the picture
MOST_COLUMNS = 900
COLUMNS_PER_SECOND = 40
ROWS = WINDOW // 2  # up to 4 kHz, all that a telephone carries
QUIETEST, LOUDEST = -70.0, -15.0  # decibels of a row below full scale
SHADES = 64
# From silence to full loudness: even steps of lightness, told apart by any eye.
STOPS = (
    (11, 16, 38),
    (46, 30, 104),
    (110, 38, 124),
    (186, 62, 96),
    (240, 124, 56),
    (252, 236, 150),
)


def picture(recording: Recording) -> bytes:
    """A PNG: time to the right, 0 to 4 kHz upwards, brighter where it is louder."""
    columns = max(1, min(MOST_COLUMNS, round(recording.seconds * COLUMNS_PER_SECOND)))
    samples = np.concatenate([recording.samples, np.zeros(WINDOW)])
    starts = np.linspace(0, len(samples) - WINDOW, columns).astype(int)
    frames = samples[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    strength = np.abs(np.fft.rfft(frames, axis=1))[:, :ROWS] / (WINDOW / 4)
    decibels = 20 * np.log10(np.maximum(strength, 1e-9))
    share = np.clip((decibels - QUIETEST) / (LOUDEST - QUIETEST), 0, 1)
    pixels: NDArray[np.uint8] = np.round(share * (SHADES - 1)).astype(np.uint8)
    return png.write(pixels.T[::-1], palette())


def palette() -> list[png.Colour]:
    """The colours from the quietest to the loudest."""
    at = np.linspace(0, len(STOPS) - 1, SHADES)
    parts = [np.interp(at, range(len(STOPS)), [stop[i] for stop in STOPS]) for i in range(3)]
    return [(round(r), round(g), round(b)) for r, g, b in zip(*parts, strict=True)]
