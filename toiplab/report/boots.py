"""A boot's timeline: when each unit of systemd began to start, and when it had started.

The guest tells it by one command, with the clock of systemd-analyze(1): microseconds since
the kernel began. It must be asked before units are started anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from toiplab.report.timeline import Chart, Mark, Span, draw

# Known to systemd 241 and 247, and answered at once: nothing is computed in the guest.
TIMELINE_COMMAND = (
    "systemctl show --property=UserspaceTimestampMonotonic,FinishTimestampMonotonic; echo; "
    "systemctl show --all --property=Id,InactiveExitTimestampMonotonic,"
    "ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic "
    "'*.service' '*.mount' multi-user.target"
)
SLOWEST = 16
SERVICES = ("asterisk", "isc-dhcp-server", "ssh")  # the course's own
KERNEL, USERSPACE, COURSE, OTHER = "kernel", "userspace", "course", ""  # looks of bars
LAST_TARGET = "multi-user.target"
MICROSECONDS = 1e6


@dataclass(frozen=True)
class Boot:
    """A boot, in seconds since the kernel began: its slowest units as they began, and marks.

    ``finished`` is 0 if systemd had not finished when it was asked.
    """

    userspace: float
    finished: float
    units: tuple[Span, ...]
    marks: tuple[Mark, ...]

    def chart(self) -> Chart:
        """Its picture."""
        moments = (mark.seconds for mark in self.marks)
        end = max((self.finished, *moments, *(unit.ended for unit in self.units)))
        phases = (
            Span("kernel", 0.0, self.userspace, KERNEL),
            Span("userspace", self.userspace, max(end, self.userspace), USERSPACE),
        )
        return draw(phases, self.units, self.marks)


def read(text: str, marks: tuple[Mark, ...] = ()) -> Boot | None:
    """What the guest printed for ``TIMELINE_COMMAND``; None if that tells of no boot."""
    userspace = finished = 0.0
    units: list[Span] = []
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
    course = [unit for unit in before if unit.kind == COURSE]
    others = [unit for unit in before if unit.kind != COURSE and unit.seconds > 0]
    others.sort(key=lambda unit: unit.seconds, reverse=True)
    chosen = [*course, *others[: SLOWEST - len(course)]]
    chosen.sort(key=lambda unit: (unit.began, unit.ended))
    return Boot(userspace, finished, tuple(chosen), tuple(found))


def _unit(told: dict[str, str]) -> Span | None:
    """A unit that started; one that runs once and ends has started when it has ended."""
    began = _seconds(told, "InactiveExitTimestampMonotonic")
    active = _seconds(told, "ActiveEnterTimestampMonotonic")
    ended = _seconds(told, "InactiveEnterTimestampMonotonic")
    name = told.get("Id", "").removesuffix(".service")
    reached = [moment for moment in (active, ended) if moment >= began]
    if not name or not began or not reached:
        return None
    return Span(name, began, min(reached), COURSE if name in SERVICES else OTHER)


def _seconds(told: dict[str, str], name: str) -> float:
    value = told.get(name, "")
    return int(value) / MICROSECONDS if value.isdecimal() else 0.0
