"""A build as it runs: the phase it is in, and whether it still gets on."""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from toiplab.builders.packer import failure
from toiplab.builders.packer.client import Line
from toiplab.builders.packer.installer import InstallerLog
from toiplab.errors import ToipLabError
from toiplab.progress import Progress

SILENCE_SECONDS = 1200  # the longest that anything takes without a word, slowly emulated
MARK = "toip-lab: "  # of scripts/install-packages.sh
APT_TROUBLE = re.compile(r"^(?:E|Err|W: Failed|dpkg: error)\b.*|^\S*: error:.*", re.MULTILINE)

# What Packer says, and the phase that begins with it.
PACKER_PHASES = (
    (re.compile(r"Creating virtual machine|Starting VM|Starting HTTP server"), "Start the machine"),
    (re.compile(r"Typing the boot command"), "Boot the installer"),
    (re.compile(r"Connected to SSH"), "First boot"),
    (re.compile(r"Gracefully halting|Halting the virtual machine"), "Switch the machine off"),
    (re.compile(r"Preparing to export|Exporting virtual machine"), "Export the machine"),
)


class SilentError(Exception):
    """The installer was not heard of in the time that it had to start."""


class Phases:
    """Shows one step after another; the last one fails with what ends the block."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._step: AbstractContextManager[None] | None = None
        self.title = ""

    def __enter__(self) -> Phases:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._step is not None:
            self._step.__exit__(kind, error, traceback)
            self._step = None

    def enter(self, title: str) -> None:
        """End the phase before, and begin this one; nothing if it is the same."""
        if title == self.title:
            return
        self.__exit__(None, None, None)
        self.title = title
        self._step = self._progress.step(title)
        self._step.__enter__()


class Watch:
    """Follows Packer and the installer; ends the build where it cannot get on.

    ``first_word_seconds`` is how long the installer may take until it is heard of.
    """

    def __init__(
        self, phases: Phases, installer: InstallerLog, *, log: Path, first_word_seconds: float
    ) -> None:
        self._phases = phases
        self._installer = installer
        self._log = log
        self._first_word = time.monotonic() + first_word_seconds
        self._heard = time.monotonic()
        self.said: list[str] = []

    def line(self, line: Line) -> None:
        """Packer said something: a phase, an error, or what the guest printed."""
        self._heard = time.monotonic()
        if line.is_error:
            self.said.append(line.text)
        elif line.text.startswith(MARK):
            self._phases.enter(line.text.removeprefix(MARK))
        elif line.kind == "ui":
            self.said += APT_TROUBLE.findall(line.text)
            for pattern, title in PACKER_PHASES:
                if pattern.match(line.text):
                    self._phases.enter(title)

    def message(self, message: bytes) -> None:
        """The installer said something."""
        self._heard = time.monotonic()
        title = self._installer.take(message)
        if title is not None:
            self._phases.enter(title)

    def tick(self) -> None:
        """Look at the clock.

        Raises:
            SilentError: the installer has not begun in its time.
            ToipLabError: it asks a question, or nothing has been heard for too long.
        """
        now = time.monotonic()
        trouble = self._installer.last_trouble()
        if not self._installer.heard and now > self._first_word:
            raise SilentError
        if (question := self._installer.waits_at()) is not None:
            raise failure.of_question(question, trouble=trouble, log=self._installer.file)
        if now - self._heard > SILENCE_SECONDS:
            raise ToipLabError(
                f"{self._phases.title}: not a word for {SILENCE_SECONDS // 60} minutes\n"
                + "".join(f"  | installer: {line}\n" for line in trouble)
                + f"  log: {self._log}",
                hint="the machine may be too slow, or hang: build again, or --builder direct",
            )
