"""The state of a systemd unit, as ``systemctl show`` prints it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum, auto

PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "Job")


class UnitState(Enum):
    """What waiting for a unit can hope for."""

    ACTIVE = auto()
    COMING = auto()
    LOST = auto()


@dataclass(frozen=True)
class Unit:
    """One unit's properties (org.freedesktop.systemd1(5)); ``job`` is 0 when none waits."""

    name: str
    load: str
    active: str
    sub: str
    result: str
    job: int

    @staticmethod
    def query(name: str) -> str:
        """The command whose output ``read`` reads."""
        return f"systemctl show --property={','.join(PROPERTIES)} -- {shlex.quote(name)}"

    @classmethod
    def read(cls, name: str, output: str) -> Unit:
        """Read ``systemctl show``'s lines ``Property=value``; those it leaves out are empty."""
        shown = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        load, active, sub, result, job = (shown.get(key, "") for key in PROPERTIES)
        return cls(name, load, active, sub, result, int(job or 0))

    @property
    def state(self) -> UnitState:
        """Active; or still coming (a job waits, or it is starting); or lost."""
        if self.load != "loaded" or self.active == "failed":
            return UnitState.LOST
        if self.active == "active" and not self.job:
            return UnitState.ACTIVE
        if self.active == "inactive" and not self.job:
            return UnitState.LOST
        return UnitState.COMING

    def __str__(self) -> str:
        """One line for messages."""
        if self.load != "loaded":
            return f"{self.name} is {self.load}"
        if self.active == "inactive" and not self.job:
            return f"{self.name} is inactive, and nothing is going to start it"
        if self.active == "failed":
            return f"{self.name} has failed (result {self.result})"
        result = "" if self.result in ("", "success") else f", result {self.result}"
        return f"{self.name} is {self.active} ({self.sub}{result})"
