"""A boot's picture: where its phases, bars and marks stand."""

from __future__ import annotations

from dataclasses import dataclass

from toiplab.report.boots import Mark, Timeline, Unit

WIDTH, RIGHT, GAP = 900, 60, 6  # pixels
ROW_HEIGHT, TOP, BOTTOM = 24, 58, 26
TICKS = (1, 2, 5, 10, 20, 30, 60)  # seconds between two of the scale's lines
MOST_TICKS = 10
SHORTEST_BAR = 2.0
WORDS_WIDTH = 260  # room for a unit's name and seconds


@dataclass(frozen=True)
class Bar:
    """A unit's bar, and where its name stands."""

    unit: Unit
    x: float
    y: int
    width: float
    words_x: float
    words_end: bool


@dataclass(frozen=True)
class Line:
    """A mark of the boot, or of the scale."""

    x: float
    what: str


@dataclass(frozen=True)
class Chart:
    """The picture."""

    width: int
    height: int
    kernel: float
    end: float
    kernel_words: str
    userspace_words: str
    bars: tuple[Bar, ...]
    ticks: tuple[Line, ...]
    marks: tuple[Line, ...]


def draw(timeline: Timeline) -> Chart:
    """Lay out a boot."""
    scale = (WIDTH - RIGHT) / max(timeline.end, 1e-3)
    step = next((s for s in TICKS if timeline.end / s <= MOST_TICKS), 2 * TICKS[-1])
    marks = list(timeline.marks)
    if timeline.finished and all(abs(mark.seconds - timeline.finished) > 1 for mark in marks):
        marks.append(Mark(timeline.finished, "all started"))
    return Chart(
        width=WIDTH,
        height=TOP + ROW_HEIGHT * len(timeline.units) + BOTTOM,
        kernel=timeline.userspace * scale,
        end=timeline.end * scale,
        kernel_words=f"kernel {timeline.userspace:.1f} s",
        userspace_words=f"userspace {timeline.end - timeline.userspace:.1f} s",
        bars=tuple(
            _bar(unit, TOP + ROW_HEIGHT * place, scale) for place, unit in enumerate(timeline.units)
        ),
        ticks=tuple(
            Line(second * scale, f"{second} s") for second in range(0, int(timeline.end) + 1, step)
        ),
        marks=tuple(
            Line(mark.seconds * scale, f"{mark.what} {mark.seconds:.1f} s") for mark in marks
        ),
    )


def _bar(unit: Unit, y: int, scale: float) -> Bar:
    """A unit's name stands right of its bar; else left of it; else on it."""
    x, width = unit.began * scale, max(unit.seconds * scale, SHORTEST_BAR)
    if x + width + WORDS_WIDTH <= WIDTH:
        return Bar(unit, x, y, width, x + width + GAP, words_end=False)
    if x >= WORDS_WIDTH:
        return Bar(unit, x, y, width, x - GAP, words_end=True)
    return Bar(unit, x, y, width, x + GAP, words_end=False)
