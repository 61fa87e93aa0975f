"""What is turned wrong in the recorded answers, and who must see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A part ``old`` of the answers to ``command``, and what stands there instead.

    Without ``old`` the whole answer is another. ``reds`` are the names of the checks that
    fail, the first of them with ``message``.
    """

    command: str
    old: str
    new: str
    message: str
    reds: tuple[str, ...]


def fault(command: str, old: str, new: str, message: str, *reds: str) -> Fault:
    return Fault(command, old, new, message, reds)
