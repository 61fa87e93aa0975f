"""Who is examined: a booted appliance, and all that its build said it would be."""

from __future__ import annotations

import shlex
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from toiplab.exam.batch import COMMANDS_SECONDS, answers_of
from toiplab.exam.cast import Players
from toiplab.hardware import Forward, Hardware
from toiplab.host import Finished
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.machine.machine import Machine
from toiplab.machine.ports import forward_named
from toiplab.manifest import Manifest
from toiplab.phones.handset import Phones
from toiplab.releases import Release


class Guest(Protocol):
    """Runs commands as root where the appliance runs; may be used by many threads."""

    def ask(self, *commands: str) -> tuple[Finished, ...]:
        """What each command printed, standard error included, and its exit status."""


@dataclass(frozen=True)
class MachineGuest:
    """A booted machine; the commands of one ``ask`` travel over its console together."""

    machine: Machine
    _console: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ask(self, *commands: str) -> tuple[Finished, ...]:
        """Run the commands, each in a bash of its own.

        Raises:
            GuestError: the machine does not answer, or answers half.
        """
        with self._console:
            return answers_of(
                lambda script: self.machine.run(script, timeout=COMMANDS_SECONDS), commands
            )


@dataclass(frozen=True)
class Identity:
    """What makes a machine itself: machine-id(5), and its ssh host keys' fingerprints."""

    machine_id: str
    host_keys: frozenset[str]


class Memory:
    """What was asked already, by command; what failed is asked again."""

    def __init__(self) -> None:
        self._answers: dict[str, Finished] = {}
        self._lock = threading.Lock()

    def of(self, guest: Guest, commands: tuple[str, ...]) -> tuple[Finished, ...]:
        """The answers; what was not asked before is asked now."""
        with self._lock:
            new = [command for command in commands if command not in self._answers]
            if new:
                self._answers.update(zip(new, guest.ask(*new), strict=True))
            return tuple(self._answers[command] for command in commands)

    def forget(self) -> None:
        """All of it may have become untrue."""
        with self._lock:
            self._answers.clear()


@dataclass(frozen=True)
class Subject:
    """The appliance under examination, from one boot to the next.

    ``hardware`` has the forwards that lead into it; ``logs`` is the folder for what the
    programs run from outside have to say. ``phones`` is where the exam's phones stand, on
    the host if it is not given. ``nat_capture`` is what went through adapter 1 since the
    power came on, ``lab_capture`` what went over the lab network, where that is recorded.
    ``players`` are the phones that a check is played with. ``known_as`` is who the machine
    was before it restarted, None at its first boot.

    What was asked once is remembered, for several checks look at the same thing, until
    something is done to the machine; ``files`` are those of its packages, which stay.
    """

    guest: Guest
    lab: Lab
    secrets: Secrets
    release: Release
    manifest: Manifest
    hardware: Hardware
    logs: Path
    phones: Phones | None = None
    nat_capture: Path | None = None
    lab_capture: Path | None = None
    players: Players = ()
    known_as: Identity | None = None
    files: Memory = field(default_factory=Memory, repr=False)
    _known: Memory = field(default_factory=Memory, init=False, repr=False)

    def answers(self, *commands: str) -> tuple[Finished, ...]:
        """What each command printed, and its exit status."""
        return self._known.of(self.guest, commands)

    def act(self, command: str) -> Finished:
        """Do something to the machine, after which everything is asked anew."""
        try:
            return self.guest.ask(command)[0]
        finally:
            self._known.forget()

    def read(self, *commands: str) -> tuple[str, ...]:
        """What each command prints of the machine's own packages, asked once in an exam."""
        return tuple(answer.output for answer in self.files.of(self.guest, commands))

    def ask(self, *commands: str) -> tuple[str, ...]:
        """What each command printed, whatever its exit status."""
        return tuple(answer.output for answer in self.answers(*commands))

    def ask_one(self, command: str) -> str:
        """What one command printed, whatever its exit status."""
        return self.ask(command)[0]

    def asterisk(self, *commands: str) -> tuple[str, ...]:
        """What Asterisk's own console answers to each command, such as ``sip show peers``."""
        return self.ask(*(f"asterisk -rx {shlex.quote(command)}" for command in commands))

    def asterisk_one(self, command: str) -> str:
        """What Asterisk's own console answers to one command."""
        return self.asterisk(command)[0]

    def forward(self, name: str) -> Forward:
        """The port forward of that name (row V4).

        Raises:
            ToipLabError: there is none.
        """
        return forward_named(self.hardware, name)
