"""Contests are held fairly, and nobody is left out silently."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from toiplab import host
from toiplab.bench.contest import Contest, Contestant, Measured, Outcome, Standing, timed
from toiplab.bench.run import hold
from toiplab.errors import ToipLabError
from toiplab.progress import Progress


def quiet() -> Progress:
    return Progress(console=Console(file=io.StringIO(), width=200))


def contestant(name: str, measure: Callable[[Path], Measured], *, once: bool = False) -> Contestant:
    return Contestant(name, f"what {name} does", measure, once=once)


def test_rounds_alternate_and_slow_ones_run_once(tmp_path: Path) -> None:
    ran: list[str] = []

    def runner(name: str) -> Callable[[Path], Measured]:
        def measure(folder: Path) -> Measured:
            assert list(folder.iterdir()) == []
            (folder / "result").write_bytes(b"12345")
            ran.append(name)
            return Measured(float(len(ran)), size=5)

        return measure

    contest = Contest(
        "c",
        "A contest",
        [contestant(name, runner(name), once=name == "b") for name in "abc"],
        rounds=3,
    )

    outcome = hold(contest, quiet(), scratch=tmp_path)

    assert ran == ["a", "b", "c", "c", "a", "a", "c"]
    assert [each.name for each in outcome.standings] == ["a", "b", "c"]
    assert outcome.standings[0].seconds == (1.0, 5.0, 6.0)
    assert outcome.standings[0].median == 5.0
    assert outcome.standings[1].seconds == (2.0,)
    assert outcome.standings[2].size == 5
    assert outcome.ratio(outcome.standings[2]) == 0.8
    assert list(tmp_path.iterdir()) == [], "every run's folder is removed"


def test_one_that_fails_stands_with_its_own_last_words(tmp_path: Path) -> None:
    tries: list[int] = []

    def broken(folder: Path) -> Measured:
        tries.append(1)
        host.run(["sh", "-c", "echo started; echo 'no loop device here' >&2; exit 3"])
        return Measured(0.0)

    def fine(folder: Path) -> Measured:
        with timed() as watch:
            host.run(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
        return watch.measured()

    contest = Contest("c", "T", (contestant("broken", broken), contestant("fine", fine)), rounds=2)

    outcome = hold(contest, quiet(), scratch=tmp_path)

    first, second = outcome.standings
    assert (first.ran, first.reason) == (False, "no loop device here")
    assert len(tries) == 1, "what cannot run is not tried again"
    assert len(second.measured) == 2
    assert second.median > 0
    assert second.processor
    assert second.processor > 0, "what its program worked"
    assert outcome.ratio(second) is None, "there is nothing to compare with"


def test_one_that_fails_in_a_later_round_is_not_half_counted(tmp_path: Path) -> None:
    tries: list[int] = []

    def wavering(folder: Path) -> Measured:
        tries.append(1)
        if len(tries) > 1:
            raise ToipLabError("the disk is full", hint="free some space")
        return Measured(1.0)

    contest = Contest("c", "T", (contestant("wavering", wavering),), rounds=2)

    (standing,) = hold(contest, quiet(), scratch=tmp_path).standings

    assert standing == Standing(
        "wavering", "what wavering does", measured=(), reason="the disk is full"
    )


def test_an_interruption_ends_the_contest(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> Measured:
        raise KeyboardInterrupt

    contest = Contest("c", "T", (contestant("a", interrupted),))

    with pytest.raises(KeyboardInterrupt):
        hold(contest, quiet(), scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_ratios_are_to_the_first() -> None:
    standings = tuple(
        Standing(name, "", (Measured(seconds),)) for name, seconds in (("a", 4.0), ("b", 1.0))
    )
    outcome = Outcome("c", "T", standings)

    assert [outcome.ratio(each) for each in standings] == [1.0, 0.25]
