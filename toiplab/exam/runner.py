"""Running checks one after the other, with a line for each as it ends."""

from __future__ import annotations

import dataclasses
import re
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path

from rich.markup import escape

from toiplab.errors import BAD_INPUT, ToipLabError
from toiplab.exam.cast import Cast, Players
from toiplab.exam.registry import Check, CheckFailedError, NotHereError
from toiplab.exam.subject import Subject
from toiplab.machine.lan.dhcp import NoLeaseError
from toiplab.phones.handset import PhoneError
from toiplab.progress import Progress

CHECK_FAILED = 1
SHOWN = 5
TOO_FEW = "the lab file has too few phones for this"


class Outcome(StrEnum):
    """How a check ended; an error means that it could not look, a skip that it did not try."""

    PASS = auto()
    FAIL = auto()
    ERROR = auto()
    SKIP = auto()


TROUBLES = (Outcome.FAIL, Outcome.ERROR)
STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.ERROR: "magenta",
    Outcome.SKIP: "yellow",
}


@dataclass(frozen=True)
class Result:
    """One check's end: ``part`` is the boot it belongs to, ``told`` what it saw or lacked.

    It began at ``began`` (seconds since 1970) and took ``seconds``. ``phones`` has the
    numbers that took part in it; what they heard is in ``folder``, in a folder for each.
    """

    part: str
    check: Check
    outcome: Outcome
    told: str
    seconds: float
    began: float = 0.0
    phones: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Report:
    """All results of an exam, in the order they came."""

    results: tuple[Result, ...]

    def of(self, outcome: Outcome) -> tuple[Result, ...]:
        """The results that ended so."""
        return tuple(result for result in self.results if result.outcome is outcome)

    @property
    def status(self) -> int:
        """Exit status: 0 all passed, 1 a check failed, 2 the exam could not run to its end."""
        looked = self.of(Outcome.PASS) or self.of(Outcome.FAIL)
        if self.of(Outcome.ERROR) or not looked:
            return BAD_INPUT
        return CHECK_FAILED if self.of(Outcome.FAIL) else 0


def run_check(
    subject: Subject, check: Check, part: str = "", *, players: Players | None = None
) -> Result:
    """Run one check; whatever goes wrong is its outcome.

    One that is played with phones is given ``players``, else the first that suit it; what
    they hear is kept in a folder of its own below the subject's logs.
    """
    began, started = time.time(), time.monotonic()
    folder = None
    try:
        if check.takes:
            players = players or _first_players(subject, check)
            folder = subject.logs / "calls" / check.name.replace(" ", "-")
            subject = dataclasses.replace(subject, players=players, logs=folder)
        told, outcome = check.run(subject), Outcome.PASS
    except (CheckFailedError, PhoneError, NoLeaseError) as failure:
        told, outcome = str(failure), Outcome.FAIL  # a phone that waits in vain is a failure
    except NotHereError as reason:
        told, outcome = str(reason), Outcome.SKIP
    except ToipLabError as error:
        told, outcome = str(error), Outcome.ERROR
    except Exception as error:  # a reading that met what no appliance was known to print
        told, outcome = f"the check itself broke {_place(error)}", Outcome.ERROR
    seconds = time.monotonic() - started
    numbers = tuple(player.number for player in players or ())
    return Result(part, check, outcome, told, seconds, began, numbers, folder)


def run_exam(
    subject: Subject, checks: Iterable[Check], progress: Progress, *, part: str
) -> Iterator[Result]:
    """Run the checks one after the other; ``part`` names the boot they belong to.

    Once the machine does not answer, the remaining checks are errors for that reason.
    """
    remaining = iter(checks)
    for check in remaining:
        result = run_check(subject, check, part)
        print_result(result, progress)
        yield result
        if result.outcome in TROUBLES and not answers(subject):
            why = f"the machine does not answer since {check.name}"
            yield from missed(remaining, progress, part=part, why=why)


def _first_players(subject: Subject, check: Check) -> Players:
    """The first of the lab's phones that a check can be played with.

    Raises:
        NotHereError: the lab has too few.
    """
    cast = Cast(subject.lab)
    party = cast.possible(check.takes)
    players = cast.take(party) if party else None
    if players is None:
        raise NotHereError(TOO_FEW)
    return players


def missed(checks: Iterable[Check], progress: Progress, *, part: str, why: str) -> Iterator[Result]:
    """Results of checks that could not even begin."""
    for check in checks:
        result = Result(part, check, Outcome.ERROR, f"not looked at: {why}", 0.0)
        print_result(result, progress)
        yield result


def print_result(result: Result, progress: Progress) -> None:
    """One line: row, outcome, title, what was seen, seconds."""
    told = result.told.partition("\n")[0]
    style = STYLES[result.outcome]
    progress.console.print(
        f"[bold]{result.check.row:<6}[/][{style}]{result.outcome.upper():<6}[/]"
        f"{escape(result.check.title)} [dim]({result.seconds:.1f} s)[/]: {escape(told)}",
        soft_wrap=True,
    )


def print_summary(report: Report, progress: Progress) -> None:
    """How many passed, and every failure in full; what one reason spoiled together."""
    for told, results in _by_reason(report).items():
        for result in results[:SHOWN]:
            progress.warn(
                f"{result.check.row} {result.outcome.upper()} ({result.part}): {result.check.title}"
            )
        if len(results) > SHOWN:
            progress.warn(f"and {len(results) - SHOWN} more, for the same reason:")
        for line in re.split(r"\n|; ", told):
            progress.note(f"    {line}")
    for result in report.of(Outcome.SKIP):
        progress.note(f"{result.check.row} skipped: {result.check.title}: {result.told}")
    counts = ", ".join(
        f"{len(report.of(outcome))} {word}"
        for outcome, word in zip(
            Outcome, ("passed", "failed", "could not look", "skipped"), strict=True
        )
    )
    progress.note(f"{len(report.results)} checks: {counts}")


def _by_reason(report: Report) -> dict[str, list[Result]]:
    """What failed, and then what could not look, by what was told of it."""
    found: dict[str, list[Result]] = {}
    for result in (*report.of(Outcome.FAIL), *report.of(Outcome.ERROR)):
        found.setdefault(result.told, []).append(result)
    return found


def _place(error: Exception) -> str:
    """Where and how a check broke."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"at {Path(last.filename).name}:{last.lineno}: {type(error).__name__}: {error}"


def answers(subject: Subject) -> bool:
    """Whether the machine still does what it is told."""
    try:
        subject.act("true")
    except ToipLabError:
        return False
    return True
