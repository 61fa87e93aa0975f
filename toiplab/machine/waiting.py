"""Deadlines on the monotonic clock, and the error of a guest that did not do its part."""

from __future__ import annotations

import time
from dataclasses import dataclass

from toiplab.errors import ToipLabError


class GuestError(ToipLabError):
    """The guest did something else than was asked, or nothing before the deadline."""


class DeadlineError(GuestError):
    """What was waited for did not come in time; the message tells what came instead."""


class MachineGoneError(GuestError):
    """QEMU ended while something was still wanted from the guest."""


@dataclass(frozen=True)
class Deadline:
    """A point in time, ``seconds`` after it was set at ``started`` (monotonic clock)."""

    seconds: float
    started: float

    @classmethod
    def within(cls, seconds: float) -> Deadline:
        """A deadline that many seconds from now."""
        return cls(seconds, time.monotonic())

    @property
    def remaining(self) -> float:
        """Seconds left; 0 once it has passed."""
        return max(0.0, self.started + self.seconds - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining == 0
