"""What a real appliance answered to the exam's commands, kept as text and played again."""

from __future__ import annotations

import re
from pathlib import Path

from toiplab.host import Finished

FILE = Path(__file__).with_name("recorded.txt")
MIRROR = re.compile(r"(deb https?://)[^/\s]+/")
ENTRY = re.compile(r"^\$ (.*)\n-> (\d+)\n", re.MULTILINE)


class Recorder:
    """A guest that writes down what another one answers."""

    def __init__(self, guest):
        self.guest = guest
        self.answers: dict[str, Finished] = {}

    def ask(self, *commands):
        answers = self.guest.ask(*commands)
        self.answers.update(zip(commands, answers, strict=True))
        return answers

    def write(self, path: Path = FILE) -> None:
        text = "".join(
            f"$ {command}\n-> {answer.status}\n{answer.output}\n"
            for command, answer in sorted(self.answers.items())
        )
        path.write_text(MIRROR.sub(r"\1mirror.example/", text), encoding="utf-8")


def read(path: Path = FILE) -> dict[str, Finished]:
    parts = ENTRY.split(path.read_text(encoding="utf-8"))[1:]
    entries = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    return {command: Finished(int(status), text[:-1]) for command, status, text in entries}


class RecordedGuest:
    """Answers as the recorded appliance did, but for what was turned wrong."""

    def __init__(self, answers: dict[str, Finished]):
        self.answers = dict(answers)
        self.asked: set[str] = set()

    def ask(self, *commands):
        self.asked |= set(commands)
        return tuple(self.answers[command] for command in commands)

    def turn(self, command: str, old: str, new: str) -> set[str]:
        """Turn a part of the answers to the commands that hold these words into another.

        Returns the commands whose answers are others now.
        """
        turned = {c for c, a in self.answers.items() if command in c and old in a.output}
        assert turned, f"no recorded answer to {command!r} has {old!r}"
        for known in turned:
            answer = self.answers[known]
            self.answers[known] = Finished(answer.status, answer.output.replace(old, new))
        return turned

    def answer(self, command: str, output: str, status: int = 0) -> set[str]:
        """Give the commands that hold these words another answer; returns those commands."""
        turned = {known for known in self.answers if command in known}
        assert turned, f"{command!r} was not recorded"
        for known in turned:
            self.answers[known] = Finished(status, output)
        return turned
