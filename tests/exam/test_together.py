"""Checks side by side: who begins when, and what becomes of them when the exam is broken off."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import threading

import pytest
from rich.console import Console

from toiplab.errors import ToipLabError
from toiplab.exam.registry import Check, NotHereError
from toiplab.exam.runner import Outcome
from toiplab.exam.together import AT_ONCE, run_together
from toiplab.progress import Progress

PATIENCE = 10


@pytest.fixture
def progress():
    return Progress(Console(file=io.StringIO(), width=200))


def run(subject, checks, progress):
    return list(run_together(subject, checks, progress, part="with phones"))


class Meeting:
    """A check that ends when so many of them are being played."""

    def __init__(self, size):
        self.barrier = threading.Barrier(size)
        self.players = []

    def check(self, name, **options):
        def look(subject):
            self.players.append([player.number for player in subject.players])
            self.barrier.wait(PATIENCE)
            return "met"

        look.__name__ = name
        return Check("A4", name, look, **options)


def test_checks_with_phones_of_their_own_are_played_at_once(subject, progress):
    meeting = Meeting(4)
    checks = [meeting.check(name, takes=((2,),)) for name in "abcd"]

    results = run(subject, checks, progress)

    assert [result.outcome for result in results] == [Outcome.PASS] * 4
    assert len({number for players in meeting.players for number in players}) == 8
    assert {result.phones for result in results} == {tuple(p) for p in meeting.players}


def test_no_more_are_played_at_once_than_the_host_bears(subject, progress):
    playing, at_once = [], []
    full = threading.Barrier(AT_ONCE)

    def look(subject):
        playing.append(None)
        at_once.append(len(playing))
        full.wait(PATIENCE)  # none ends before so many are there
        playing.pop()
        return ""

    results = run(subject, [Check("A4", str(n), named(look, n)) for n in range(20)], progress)

    assert [result.outcome for result in results] == [Outcome.PASS] * 20
    assert max(at_once) == AT_ONCE


def named(look, name):
    def run(subject):
        return look(subject)

    run.__name__ = f"look_{name}"
    return run


def test_one_that_runs_alone_waits_for_those_before_and_is_waited_for(subject, progress):
    begun = {name: threading.Event() for name in "abcd"}
    beside = {"a": "b", "b": "a", "c": "d"}
    met = {}

    def check(name, **options):
        def look(subject):
            begun[name].set()
            if name in beside:
                met[name] = begun[beside[name]].wait(0.5 if name == "c" else PATIENCE)
            return ""

        look.__name__ = name
        return Check("A4", name, look, **options)

    checks = [check("a"), check("b"), check("c", alone=True), check("d")]
    order = [result.check.title for result in run(subject, checks, progress)]

    assert met == {"a": True, "b": True, "c": False}
    assert (set(order[:2]), order[2:]) == ({"a", "b"}, ["c", "d"])


def test_a_check_without_phones_enough_is_skipped(subject, progress):
    (result,) = run(subject, [Meeting(1).check("crowd", takes=((99,),))], progress)

    assert (result.outcome, result.told) == (
        Outcome.SKIP,
        "the lab file has too few phones for this",
    )


def test_a_check_that_cannot_be_tried_here_is_skipped(subject, progress):
    def look(subject):
        raise NotHereError("no lab network")

    (result,) = run(subject, [Check("D3", "leases", look)], progress)

    assert (result.outcome, result.told) == (Outcome.SKIP, "no lab network")


class Gone:
    def ask(self, *commands):
        raise ToipLabError("the machine ended")


def test_once_the_machine_is_gone_the_others_do_not_begin(subject, progress):
    gone = dataclasses.replace(subject, guest=Gone())

    def look(subject):
        return subject.ask_one("true")

    first = Check("A4", "first", named(look, 1), alone=True)
    results = run(gone, [first, Check("A5", "second", named(look, 2))], progress)

    assert [(result.outcome, result.told) for result in results] == [
        (Outcome.ERROR, "the machine ended"),
        (Outcome.ERROR, "not looked at: the machine does not answer since A4 look_1"),
    ]


def test_when_the_exam_is_broken_off_what_it_waits_for_ends(subject, progress):
    begun = threading.Event()

    def long(subject):
        begun.set()
        subprocess.run(["sleep", "1000"], check=False)
        return ""

    def quick(subject):
        assert begun.wait(PATIENCE)
        return ""

    results = run_together(
        subject,
        [Check("A6", "long", long), Check("A4", "quick", quick)],
        progress,
        part="with phones",
    )
    assert next(results).check.title == "quick"

    results.close()

    assert not [thread for thread in threading.enumerate() if thread.name == "A6 long"]
