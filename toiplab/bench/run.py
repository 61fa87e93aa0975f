"""Holding a contest: every contestant in turn, round by round, each in an empty folder."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from toiplab.bench.contest import Contest, Contestant, Measured, Outcome, Standing
from toiplab.errors import ToipLabError
from toiplab.progress import Progress

QUOTED = re.compile(r"^ *\| (.*\S) *$", re.MULTILINE)  # as toiplab.host quotes a program


def hold(contest: Contest, progress: Progress, *, scratch: Path) -> Outcome:
    """Run a contest; one who cannot run stands with the reason, and is not tried again.

    The order is reversed every other round, so that a machine that gets slower (or busier)
    favours nobody. Each run has a folder of its own below ``scratch``, removed afterwards.
    """
    measured: dict[str, list[Measured]] = {each.name: [] for each in contest.contestants}
    reasons: dict[str, str] = {}
    with progress.step(contest.title):
        for number in range(contest.rounds):
            order = list(contest.contestants)[:: -1 if number % 2 else 1]
            for each in order:
                if each.name in reasons or (each.once and number):
                    continue
                try:
                    measured[each.name].append(_measure(each, progress, scratch))
                except ToipLabError as error:
                    reasons[each.name] = reason(error)
                    progress.warn(f"{each.name}: {reasons[each.name]}")
    return Outcome(
        contest.name,
        contest.title,
        tuple(
            Standing(
                each.name,
                each.does,
                measured=() if each.name in reasons else tuple(measured[each.name]),
                reason=reasons.get(each.name, ""),
                ours=each.ours,
            )
            for each in contest.contestants
        ),
    )


def _measure(contestant: Contestant, progress: Progress, scratch: Path) -> Measured:
    with (
        progress.step(contestant.name),
        tempfile.TemporaryDirectory(dir=scratch, prefix="run-") as folder,
    ):
        return contestant.measure(Path(folder))


def reason(error: ToipLabError) -> str:
    """The last line that the program that failed said, else what is wrong in one line."""
    said = QUOTED.findall(error.message)
    return said[-1] if said else error.message.splitlines()[0]
