"""A contest: several ways to one end, measured side by side in one run.

Only ratios within a run mean something: machines differ, and so does one machine's load.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One measurement.

    ``seconds`` are the clock's; ``processor`` are those that processors worked, which hardly
    depend on what else the machine does. ``size`` is the result's, in bytes, if it has one.
    """

    seconds: float
    processor: float | None = None
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
    def processor(self) -> float | None:
        """The median of the processors' seconds; None where they were not measured."""
        known = [each.processor for each in self.measured if each.processor is not None]
        return statistics.median(known) if known else None

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

    def processor_ratio(self, standing: Standing) -> float | None:
        """The same of the processors' seconds."""
        first, own = self.standings[0].processor, standing.processor
        return own / first if first and own is not None else None


@dataclass
class Watch:
    """Times that are being taken, in seconds, as in ``Measured``."""

    seconds: float = 0.0
    processor: float = 0.0

    def measured(self, size: int | None = None) -> Measured:
        """The measurement, once the block has ended."""
        return Measured(self.seconds, self.processor, size)


@contextmanager
def timed() -> Iterator[Watch]:
    """Take the times of a block and of all programs that end in it; read them after it."""
    watch, started, worked = Watch(), time.monotonic(), _processor()
    yield watch
    watch.seconds, watch.processor = time.monotonic() - started, _processor() - worked


def _processor() -> float:
    """What this process and its children that have ended worked so far: getrusage(2)."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def allocated(path: Path) -> int:
    """What a file takes on the disk, holes left out, in bytes."""
    return path.stat().st_blocks * 512  # stat(2): of 512 bytes, whatever the file system's are
