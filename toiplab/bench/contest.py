"""A contest: several ways to one end, measured side by side in one run.

Only ratios within a run mean something: machines differ, and so does one machine's load.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One measurement: how long it took, and how large the result is, in bytes, if it has one."""

    seconds: float
    size: int | None = None


@dataclass(frozen=True)
class Contestant:
    """One way to the end.

    Attributes:
        name: a few words, unique in the contest.
        does: what it makes of what, in half a line.
        measure: does it in an empty folder and measures itself; a ``ToipLabError`` says
            why it cannot be done here.
        ours: whether it is toip-lab's own.
        once: whether one round is enough, since it takes minutes.
    """

    name: str
    does: str
    measure: Callable[[Path], Measured]
    ours: bool = False
    once: bool = False


@dataclass(frozen=True)
class Contest:
    """Contestants for one end; ratios are to the first of them."""

    name: str
    title: str
    contestants: Sequence[Contestant]
    rounds: int = 1


@dataclass(frozen=True)
class Standing:
    """What came of a contestant: its measurements, or the ``reason`` why there are none."""

    name: str
    does: str
    measured: tuple[Measured, ...] = ()
    reason: str = ""
    ours: bool = False

    @property
    def ran(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.measured)

    @property
    def seconds(self) -> tuple[float, ...]:
        """The times of all rounds, the shortest first."""
        return tuple(sorted(each.seconds for each in self.measured))

    @property
    def median(self) -> float:
        """The time to compare, in seconds."""
        return statistics.median(self.seconds)

    @property
    def size(self) -> int | None:
        """The size of the last result, in bytes; None where the time is all there is."""
        return self.measured[-1].size if self.measured else None


@dataclass(frozen=True)
class Outcome:
    """A contest that was held; the standings are in the contestants' order."""

    name: str
    title: str
    standings: tuple[Standing, ...]

    def ratio(self, standing: Standing) -> float | None:
        """A standing's time in terms of the first one's; None where either is lacking."""
        first = self.standings[0]
        return standing.median / first.median if first.ran and standing.ran else None


@dataclass
class Watch:
    """A time that is being taken, in seconds."""

    seconds: float = field(default=0.0)


@contextmanager
def timed() -> Iterator[Watch]:
    """Take the time of a block; read it after the block."""
    watch, started = Watch(), time.monotonic()
    yield watch
    watch.seconds = time.monotonic() - started


def allocated(path: Path) -> int:
    """What a file takes on the disk, holes left out, in bytes."""
    return path.stat().st_blocks * 512  # stat(2): of 512 bytes, whatever the file system's are
