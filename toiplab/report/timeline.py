"""A timeline's picture: where its phases, bars and marks stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, RIGHT, GAP = 900, 60, 6  # pixels
ROW_HEIGHT, TOP, BOTTOM = 24, 58, 26
TICKS = (1, 2, 5, 10, 20, 30, 60)  # seconds between two of the scale's lines
MOST_TICKS = 10
SHORTEST_BAR = 2.0
LETTER_WIDTH = 7.2  # at most, on the whole, with the seconds that follow a name
SECONDS_WIDTH = 48


@dataclass(frozen=True)
class Span:
    """Something that took its time, from and to a moment in seconds; ``kind`` is its look."""

    name: str
    began: float
    ended: float
    kind: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass(frozen=True)
class Mark:
    """Something that happened once, at a moment in seconds."""

    seconds: float
    what: str


@dataclass(frozen=True)
class Bar:
    """A span where it is drawn, and where its name stands."""

    span: Span
    x: float
    y: int
    width: float
    words_x: float = 0
    words_end: bool = False


@dataclass(frozen=True)
class Line:
    """A mark where it is drawn, or a line of the scale."""

    x: float
    what: str


@dataclass(frozen=True)
class Chart:
    """The picture: the phases in one row, every other span in a row of its own."""

    width: int
    height: int
    phases: tuple[Bar, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[Line, ...]
    marks: tuple[Line, ...]


def draw(phases: Sequence[Span], spans: Sequence[Span], marks: Sequence[Mark] = ()) -> Chart:
    """Lay out what happened since second 0."""
    ends = (*(span.ended for span in (*phases, *spans)), *(mark.seconds for mark in marks))
    end = max(ends, default=0.0)
    scale = (WIDTH - RIGHT) / max(end, 1e-3)
    step = next((tick for tick in TICKS if end / tick <= MOST_TICKS), 2 * TICKS[-1])
    return Chart(
        width=WIDTH,
        height=TOP + ROW_HEIGHT * len(spans) + BOTTOM,
        phases=tuple(
            Bar(phase, phase.began * scale, 0, max(phase.seconds * scale, SHORTEST_BAR))
            for phase in phases
        ),
        bars=tuple(_bar(span, TOP + ROW_HEIGHT * place, scale) for place, span in enumerate(spans)),
        ticks=tuple(Line(second * scale, f"{second} s") for second in range(0, int(end) + 1, step)),
        marks=tuple(
            Line(mark.seconds * scale, f"{mark.what} {mark.seconds:.1f} s")
            for mark in sorted(marks, key=lambda mark: mark.seconds)
        ),
    )


def _bar(span: Span, y: int, scale: float) -> Bar:
    """A span's name stands right of its bar; else left of it; else on it."""
    x, width = span.began * scale, max(span.seconds * scale, SHORTEST_BAR)
    words = len(span.name) * LETTER_WIDTH + SECONDS_WIDTH
    if x + width + GAP + words <= WIDTH:
        return Bar(span, x, y, width, x + width + GAP)
    if x - GAP >= words:
        return Bar(span, x, y, width, x - GAP, words_end=True)
    return Bar(span, x, y, width, min(x + GAP, max(0.0, WIDTH - words)))
