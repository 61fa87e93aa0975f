"""What a check is: a row of the contract, a function that looks, and what it saw.

A module of the exam holds functions made into checks by ``@check``; where they run one after
the other, it lists them in their order, in its ``CHECKS``. ``plan`` strings all together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toiplab.exam.cast import Party
from toiplab.exam.subject import Subject

SHOWN = 5

Look = Callable[[Subject], str]


@dataclass(frozen=True)
class Check:
    """One check: ``run`` looks at the subject and returns what it saw, in a few words.

    ``row`` is the row of the contract it proves, such as ``A6``; ``whole`` is the row of
    what concerns the machine as a whole. ``run`` raises CheckFailedError when the subject
    is not as the lab says, NotHereError when this exam has no way to look.

    ``takes`` are the phones it is played with, the first that the lab has of several ways;
    while it is played, nobody else has them. One that runs ``alone`` disturbs all others.
    """

    row: str
    title: str
    run: Look
    takes: tuple[Party, ...] = ()
    alone: bool = False

    @property
    def name(self) -> str:
        """A name that is unique in the exam, such as ``A6 parking``."""
        return f"{self.row} {self.run.__name__}"


def check(
    row: str, title: str, *, takes: tuple[Party, ...] = (), alone: bool = False
) -> Callable[[Look], Check]:
    """Make a function into the check of a row."""

    def made(look: Look) -> Check:
        return Check(row, title, look, takes, alone)

    return made


class CheckFailedError(Exception):
    """The subject is not as it should be; the message says what was expected and seen."""


class NotHereError(Exception):
    """The check cannot be tried in this exam, on this host or on this lab; why."""


@dataclass(frozen=True)
class Fact:
    """One thing a check compares; ``what`` names it in the failure's message."""

    what: str
    expected: object
    seen: object


def agree(*facts: Fact) -> None:
    """Check that each fact is seen as expected.

    Raises:
        CheckFailedError: naming every fact that is not.
    """
    wrong = [
        f"{fact.what}: expected {_shown(fact.expected)}, saw {_shown(fact.seen)}"
        for fact in facts
        if fact.expected != fact.seen
    ]
    if wrong:
        raise CheckFailedError("; ".join(wrong))


def few(things: Sequence[object]) -> list[str]:
    """The first few of what is wrong, and how many more there are."""
    shown = [str(thing) for thing in things[:SHOWN]]
    return shown if len(things) <= SHOWN else [*shown, f"and {len(things) - SHOWN} more"]


def _shown(value: object) -> str:
    if isinstance(value, (tuple, list, set, frozenset)):
        items = sorted(map(str, value)) if isinstance(value, (set, frozenset)) else value
        return " ".join(map(str, items)) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "") else "nothing"
