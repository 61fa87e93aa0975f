"""Running checks side by side, each with phones of its own.

A check waits most of its time: for a phone to ring out, for a parked call to come back.
So several are played at once, as in a class, as long as there are phones for them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from toiplab import host
from toiplab.exam.cast import Cast, Players
from toiplab.exam.registry import Check
from toiplab.exam.runner import TROUBLES, Result, answers, missed, print_result, run_check
from toiplab.exam.subject import Subject
from toiplab.progress import Progress

AT_ONCE = 5  # checks; with more, they and the appliance get in one another's way
IMPATIENCE_SECONDS = 0.2


@dataclass(frozen=True)
class Play:
    """A check that is being played, by a thread that its phones live as long as."""

    check: Check
    players: Players
    thread: threading.Thread


class Stage:
    """The checks that wait for their turn, and those that are played."""

    def __init__(self, subject: Subject, checks: Sequence[Check], part: str) -> None:
        self.waiting = list(checks)
        self._subject = subject
        self._part = part
        self._cast = Cast(subject.lab)
        self._plays: dict[str, Play] = {}
        self._results: SimpleQueue[Result] = SimpleQueue()

    @property
    def over(self) -> bool:
        """Whether all have been played."""
        return not (self.waiting or self._plays)

    def begin(self) -> None:
        """Begin every check that may begin now.

        They begin in their order, but for those whose phones are taken. One that runs alone
        waits for all before it, and all after it wait for that one.
        """
        for check in tuple(self.waiting):
            if len(self._plays) >= AT_ONCE or any(p.check.alone for p in self._plays.values()):
                return
            if check.alone and (self._plays or check is not self.waiting[0]):
                return
            party = self._cast.possible(check.takes)
            players = () if party is None else self._cast.take(party)
            if players is not None:
                self.waiting.remove(check)
                self._play(check, players)

    def next_result(self) -> Result:
        """Wait until a check ends; its phones are free again."""
        result = self._results.get()
        ended = self._plays.pop(result.check.name)
        ended.thread.join()
        self._cast.give_back(ended.players)
        return result

    def break_off(self) -> None:
        """Kill the programs of what is being played, until it has ended.

        A phone that is waited for is then seen to be gone at once; a command on the
        machine's console is waited for.
        """
        for play in self._plays.values():
            while play.thread.is_alive():
                if play.thread.native_id is not None:
                    host.signal_children_of(play.thread.native_id, signal.SIGKILL)
                play.thread.join(IMPATIENCE_SECONDS)

    def _play(self, check: Check, players: Players) -> None:
        def played() -> None:
            result = run_check(self._subject, check, self._part, players=players or None)
            self._results.put(result)

        thread = threading.Thread(target=played, name=check.name)
        self._plays[check.name] = Play(check, players, thread)
        thread.start()


def run_together(
    subject: Subject, checks: Sequence[Check], progress: Progress, *, part: str
) -> Iterator[Result]:
    """Run the checks, as many at once as there are phones for; print each as it ends.

    Once the machine does not answer, those that have not begun are errors for that reason.
    """
    with _stage(Stage(subject, checks, part)) as stage:
        while not stage.over:
            stage.begin()
            result = stage.next_result()
            print_result(result, progress)
            yield result
            if result.outcome in TROUBLES and not answers(subject):
                why = f"the machine does not answer since {result.check.name}"
                yield from missed(stage.waiting, progress, part=part, why=why)
                stage.waiting.clear()


@contextmanager
def _stage(stage: Stage) -> Iterator[Stage]:
    try:
        yield stage
    finally:
        stage.break_off()
