"""The message ladder of a check: where each line and word of its picture stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from toiplab.report.traffic import SERVER, Arrow, Kind

TIME_WIDTH, COLUMN_WIDTH, MARGIN = 56, 210, 46  # pixels
HEAD_HEIGHT, ROW_HEIGHT, FOOT_HEIGHT = 44, 26, 16
PAUSE_SECONDS, PAUSE_HEIGHT = 1.5, 22
BAR_OFFSET = 5  # of a bar of sound beside its lifeline
MOST_PHONES, MOST_ROWS = 8, 160
MOST_LETTERS = 32  # that an arrow from one column to the next has room for
SAME_PRESS_SECONDS = 2.0  # keys pressed one after the other share a row


@dataclass(frozen=True)
class Lifeline:
    """One who takes part: its name above a line that runs down the picture."""

    name: str
    x: int
    server: bool


@dataclass(frozen=True)
class Rung:
    """An arrow where it is drawn; ``time`` is in seconds since the check began."""

    arrow: Arrow
    time: float
    y: int
    start: int
    end: int

    @property
    def middle(self) -> float:
        """Where its words are centred."""
        return (self.start + self.end) / 2

    @property
    def label(self) -> str:
        """What is written on it: all of it, or as much as there is room for."""
        times = self.arrow.times if self.arrow.kind is not Kind.SOUND else 1
        again = f" \N{MULTIPLICATION SIGN}{times}" if times > 1 else ""
        room = MOST_LETTERS * abs(self.end - self.start) // COLUMN_WIDTH - len(again)
        label = self.arrow.label
        return (label if len(label) <= room else f"{label[: room - 1].rstrip()}…") + again

    @property
    def landmark(self) -> bool:
        """Whether a call begins or ends with it."""
        return self.arrow.label in ("INVITE", "CANCEL", "BYE")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that were pressed."""
        return tuple(self.arrow.label) if self.arrow.kind is Kind.KEY else ()


@dataclass(frozen=True)
class Bar:
    """How long a sound lasted, beside the line of the phone that spoke or heard it."""

    x: float
    top: float
    height: float
    spoken: bool


@dataclass(frozen=True)
class Pause:
    """A time in which nothing new began."""

    y: float
    seconds: float


@dataclass(frozen=True)
class Ladder:
    """The picture; ``left_out`` counts what did not fit in."""

    width: int
    height: int
    lifelines: tuple[Lifeline, ...]
    rungs: tuple[Rung, ...]
    bars: tuple[Bar, ...]
    pauses: tuple[Pause, ...]
    left_out: int


def draw(arrows: Iterable[Arrow], began: float, numbers: Sequence[str]) -> Ladder | None:
    """Lay out what happened in a check of those phones; None if nothing did."""
    known = list(_presses(arrows))
    names = [n for n in numbers if any(arrow.phone == n for arrow in known)][:MOST_PHONES]
    wanted = [arrow for arrow in known if arrow.phone in names]
    shown = wanted[:MOST_ROWS]
    if not shown:
        return None
    middle = (len(names) + 1) // 2
    order = [*names[:middle], SERVER, *names[middle:]]
    x = {name: TIME_WIDTH + MARGIN + i * COLUMN_WIDTH for i, name in enumerate(order)}
    rungs, pauses, y = [], [], HEAD_HEIGHT
    before = shown[0].at
    for arrow in shown:
        if arrow.at - before > PAUSE_SECONDS:
            pauses.append(Pause(y + (PAUSE_HEIGHT + ROW_HEIGHT) / 2, arrow.at - before))
            y += PAUSE_HEIGHT
        before = arrow.at
        y += ROW_HEIGHT
        rungs.append(Rung(arrow, arrow.at - began, y, x[arrow.source], x[arrow.target]))
    height = y + FOOT_HEIGHT
    return Ladder(
        width=x[order[-1]] + MARGIN,
        height=height,
        lifelines=tuple(Lifeline(name, x[name], name == SERVER) for name in order),
        rungs=tuple(rungs),
        bars=tuple(_bar(rung, rungs, height, x) for rung in rungs if rung.arrow.kind is Kind.SOUND),
        pauses=tuple(pauses),
        left_out=len(known) - len(shown),
    )


def _presses(arrows: Iterable[Arrow]) -> Iterable[Arrow]:
    """The arrows, those of keys pressed one after the other made one."""
    last: Arrow | None = None
    for arrow in arrows:
        if last and _same_press(last, arrow):
            last = replace(last, label=last.label + arrow.label, until=arrow.at)
            continue
        if last:
            yield last
        last = arrow
    if last:
        yield last


def _same_press(one: Arrow, other: Arrow) -> bool:
    return (
        one.kind is other.kind is Kind.KEY
        and (one.source, one.target) == (other.source, other.target)
        and other.at - one.until <= SAME_PRESS_SECONDS
    )


def _bar(rung: Rung, rungs: Sequence[Rung], height: int, x: dict[str, int]) -> Bar:
    """From a sound's arrow down to where its end would stand among the rows."""
    arrow = rung.arrow
    below = [other for other in rungs if other.arrow.at > arrow.until]
    bottom = below[0].y - ROW_HEIGHT / 2 if below else height - FOOT_HEIGHT / 2
    spoken = arrow.target == SERVER
    side = -BAR_OFFSET if spoken else BAR_OFFSET
    return Bar(x[arrow.phone] + side, rung.y, max(bottom - rung.y, 2.0), spoken)
