"""Who is examined: a booted appliance, and all that its build said it would be."""

from __future__ import annotations

import secrets as random
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from toiplab.errors import ToipLabError
from toiplab.hardware import Forward, Hardware
from toiplab.host import Finished
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.machine.machine import Machine
from toiplab.machine.waiting import GuestError
from toiplab.manifest import Manifest
from toiplab.phones.handset import Phones
from toiplab.releases import Release

COMMANDS_SECONDS = 120


class Guest(Protocol):
    """Runs commands as root where the appliance runs."""

    def ask(self, *commands: str) -> tuple[Finished, ...]:
        """What each command printed, standard error included, and its exit status."""


@dataclass(frozen=True)
class MachineGuest:
    """A booted machine; the commands of one ``ask`` travel over its console together."""

    machine: Machine

    def ask(self, *commands: str) -> tuple[Finished, ...]:
        """Run the commands, each in a bash of its own.

        Raises:
            GuestError: the machine does not answer, or answers half.
        """
        mark = f"exam-{random.token_hex(4)}"
        script = "\n".join(
            f"bash -c {shlex.quote(command)}; printf '\\n{mark} %d\\n' $?" for command in commands
        )
        output = self.machine.run(script, timeout=COMMANDS_SECONDS).output
        answers = []
        for command in commands:
            text, found, rest = output.partition(f"\n{mark} ")
            status, _, output = rest.partition("\n")
            if not found:
                raise GuestError(f"in the guest, this was cut short: {command}")
            answers.append(Finished(int(status), text))
        return tuple(answers)


@dataclass(frozen=True)
class Identity:
    """What makes a machine itself: machine-id(5), and its ssh host keys' fingerprints."""

    machine_id: str
    host_keys: frozenset[str]


@dataclass(frozen=True)
class Subject:
    """The appliance under examination, from one boot to the next.

    ``hardware`` has the forwards that lead into it; ``logs`` is the folder for what the
    programs run from outside have to say, ``phones`` is where the exam's phones come from,
    through the forwards if it is not given; ``known_as`` is who the machine was before it
    restarted, None at its first boot. What was asked once is remembered, for several checks
    look at the same thing, until something is done to the machine.
    """

    guest: Guest
    lab: Lab
    secrets: Secrets
    release: Release
    manifest: Manifest
    hardware: Hardware
    logs: Path
    phones: Phones | None = None
    known_as: Identity | None = None
    _known: dict[str, Finished] = field(default_factory=dict, init=False, repr=False)

    def answers(self, *commands: str) -> tuple[Finished, ...]:
        """What each command printed, and its exit status."""
        new = [command for command in commands if command not in self._known]
        if new:
            self._known.update(zip(new, self.guest.ask(*new), strict=True))
        return tuple(self._known[command] for command in commands)

    def act(self, command: str) -> Finished:
        """Do something to the machine, after which everything is asked anew."""
        self._known.clear()
        return self.guest.ask(command)[0]

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
        for forward in self.hardware.forwards:
            if forward.name == name:
                return forward
        raise ToipLabError(f"the OVF has no forward named {name!r}")
