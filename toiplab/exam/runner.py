"""Running checks one after the other, with a line for each as it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path

from rich.markup import escape

from toiplab.errors import BAD_INPUT, ToipLabError
from toiplab.exam.registry import Check, CheckFailedError
from toiplab.exam.subject import Subject
from toiplab.progress import Progress

CHECK_FAILED = 1


class Outcome(StrEnum):
    """How a check ended; an error means that it could not look, a skip that it did not try."""

    PASS = auto()
    FAIL = auto()
    ERROR = auto()
    SKIP = auto()


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
        if self.of(Outcome.ERROR) or not self.results:
            return BAD_INPUT
        return CHECK_FAILED if self.of(Outcome.FAIL) else 0


def run_check(subject: Subject, check: Check, part: str = "") -> Result:
    """Run one check; whatever goes wrong is its outcome."""
    started = time.monotonic()
    try:
        told, outcome = check.run(subject), Outcome.PASS
    except CheckFailedError as failure:
        told, outcome = str(failure), Outcome.FAIL
    except ToipLabError as error:
        told, outcome = str(error), Outcome.ERROR
    except Exception as error:  # a reading that met what no appliance was known to print
        told = f"what the appliance printed could not be read: {type(error).__name__}: {error}"
        outcome = Outcome.ERROR
    return Result(part, check, outcome, told, time.monotonic() - started)


def run_exam(
    subject: Subject, checks: Iterable[Check], progress: Progress, *, part: str
) -> Iterator[Result]:
    """Run the checks, printing a line for each; ``part`` names the boot they belong to.

    Once the machine does not answer, the remaining checks are errors for that reason.
    """
    remaining = iter(checks)
    for check in remaining:
        result = run_check(subject, check, part)
        print_result(result, progress)
        yield result
        if result.outcome is Outcome.ERROR and not _answers(subject):
            why = f"the machine does not answer since {check.name}"
            yield from missed(remaining, progress, part=part, why=why)


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
    """How many passed, and every failure in full."""
    for result in (*report.of(Outcome.FAIL), *report.of(Outcome.ERROR)):
        progress.warn(
            f"{result.check.row} {result.outcome.upper()} ({result.part}): {result.check.title}"
        )
        for line in re.split(r"\n|; ", result.told):
            progress.note(f"    {line}")
    counts = ", ".join(
        f"{len(report.of(outcome))} {word}"
        for outcome, word in zip(Outcome, ("passed", "failed", "could not look", "skipped"), strict=True)
    )
    progress.note(f"{len(report.results)} checks: {counts}")


def _answers(subject: Subject) -> bool:
    """Whether the machine still does what it is told."""
    try:
        subject.act("true")
    except ToipLabError:
        return False
    return True
