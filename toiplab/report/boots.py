"""A boot's timeline: when each unit of systemd began to start, and when it had started.

The guest tells it by one command, with the clock of systemd-analyze(1): microseconds since
the kernel began. It must be asked before units are started anew.
"""

from __future__ import annotations

from dataclasses import dataclass

# Known to systemd 241 and 247, and answered at once: nothing is computed in the guest.
TIMELINE_COMMAND = (
    "systemctl show --property=UserspaceTimestampMonotonic,FinishTimestampMonotonic; echo; "
    "systemctl show --all --property=Id,InactiveExitTimestampMonotonic,"
    "ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic "
    "'*.service' '*.mount' multi-user.target"
)
SLOWEST = 16
COURSE = ("asterisk.service", "isc-dhcp-server.service", "ssh.service")
LAST_TARGET = "multi-user.target"
MICROSECONDS = 1e6


@dataclass(frozen=True)
class Unit:
    """A unit that started: when it began to, and when it had (seconds since the kernel)."""

    name: str
    began: float
    active: float
    course: bool

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.active - self.began


@dataclass(frozen=True)
class Mark:
    """Something that happened once, in seconds since the kernel began."""

    seconds: float
    what: str


@dataclass(frozen=True)
class Timeline:
    """A boot: its kernel's share, its slowest units in the order they began, and its marks.

    ``finished`` is 0 if systemd had not finished when it was asked.
    """

    userspace: float
    finished: float
    units: tuple[Unit, ...]
    marks: tuple[Mark, ...]

    @property
    def end(self) -> float:
        """The last moment of all."""
        return max(
            self.finished,
            self.userspace,
            *(unit.active for unit in self.units),
            *(mark.seconds for mark in self.marks),
        )


def read(text: str, marks: tuple[Mark, ...] = ()) -> Timeline | None:
    """What the guest printed for ``TIMELINE_COMMAND``; None if that tells of no boot."""
    userspace = finished = 0.0
    units: list[Unit] = []
    found = list(marks)
    for block in text.replace("\r", "").strip().split("\n\n"):
        told = dict(line.partition("=")[::2] for line in block.splitlines())
        if "UserspaceTimestampMonotonic" in told:
            userspace = _seconds(told, "UserspaceTimestampMonotonic")
            finished = _seconds(told, "FinishTimestampMonotonic")
        elif told.get("Id") == LAST_TARGET:
            if active := _seconds(told, "ActiveEnterTimestampMonotonic"):
                found.append(Mark(active, LAST_TARGET))
        elif (unit := _unit(told)) is not None:
            units.append(unit)
    if not userspace:
        return None
    before = [unit for unit in units if not finished or unit.began <= finished]
    course = [unit for unit in before if unit.course]
    others = [unit for unit in before if not unit.course and unit.seconds > 0]
    others.sort(key=lambda unit: unit.seconds, reverse=True)
    chosen = [*course, *others[: SLOWEST - len(course)]]
    return Timeline(
        userspace,
        finished,
        tuple(sorted(chosen, key=lambda unit: (unit.began, unit.active))),
        tuple(sorted(found, key=lambda mark: mark.seconds)),
    )


def _unit(told: dict[str, str]) -> Unit | None:
    """A unit that started; one that runs once and ends has started when it has ended."""
    began = _seconds(told, "InactiveExitTimestampMonotonic")
    active = _seconds(told, "ActiveEnterTimestampMonotonic")
    ended = _seconds(told, "InactiveEnterTimestampMonotonic")
    name = told.get("Id", "")
    reached = [moment for moment in (active, ended) if moment >= began]
    if not name or not began or not reached:
        return None
    return Unit(name, began, min(reached), name in COURSE)


def _seconds(told: dict[str, str], name: str) -> float:
    value = told.get(name, "")
    return int(value) / MICROSECONDS if value.isdecimal() else 0.0
