"""The guest's serial console: text that comes, and lines that are typed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn

from toiplab.machine.waiting import DeadlineError, GuestError, MachineGoneError

TAIL_LINES = 15
READ_BYTES = 65536
LINE_SECONDS = 5
LAST_WORDS_SECONDS = 0.5
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\t\n -~\u00a0-\uffff]")


@dataclass(frozen=True)
class Seen:
    """A text that was waited for: its match, and all that came ``before`` it."""

    before: str
    match: re.Match[str]


class Console:
    """A serial console on two descriptors; QEMU itself keeps ``log``, all that came.

    Another line to the guest, such as an ssh session, has its ``name``, and may have no log.
    Text is consumed as it is waited for: each wait begins where the last one ended.
    Undecodable bytes are kept as lone surrogates (PEP 383).
    """

    def __init__(
        self, source: int, sink: int, log: Path | None, name: str = "serial console"
    ) -> None:
        self.source = source
        self.sink = sink
        self.log = log
        self.name = name
        self._recent = ""
        self._spawn: fdspawn[str] = fdspawn(
            source,
            encoding="utf-8",
            codec_errors="surrogateescape",
            maxread=READ_BYTES,
        )
        self._spawn.logfile_read = self

    def wait_for(
        self,
        pattern: str,
        within: float,
        *,
        what: str = "",
        hopeless: Sequence[str] = (),
    ) -> Seen:
        """Wait until the console shows a text; a pattern in ``(?=…)`` leaves it for the next wait.

        Args:
            pattern: a regular expression (re, multi-line).
            within: seconds.
            what: how messages name what is waited for; by default, the pattern.
            hopeless: patterns after which there is no use in waiting any longer.

        Raises:
            DeadlineError: it did not come; the message ends with the console's last lines.
            GuestError: a hopeless text came.
            MachineGoneError: QEMU ended.
        """
        what = what or f"the text {pattern!r}"
        patterns = [re.compile(text, re.MULTILINE) for text in (pattern, *hopeless)]
        try:
            index = self._spawn.expect([*patterns], timeout=within)
        except pexpect.TIMEOUT:
            raise DeadlineError(
                f"the guest did not show {what} within {within:g} s; {self.tail()}"
            ) from None
        except pexpect.EOF:
            raise MachineGoneError(
                f"the machine ended before it showed {what}; {self.tail()}"
            ) from None
        match, before = self._spawn.match, self._spawn.before
        if not isinstance(match, re.Match):  # expect() returned, so a pattern matched
            raise TypeError(match)
        if index > 0:
            self._let_it_finish()
            raise GuestError(f"the guest shows {match[0]!r} in place of {what}; {self.tail()}")
        return Seen(before or "", match)

    def _let_it_finish(self) -> None:
        """Take the rest of a last line, and what may follow: it explains the end."""
        self._spawn.expect(["\n", pexpect.EOF, pexpect.TIMEOUT], timeout=LINE_SECONDS)
        self.rest(LAST_WORDS_SECONDS)

    def rest(self, within: float) -> bool:
        """Take what comes for that many seconds, or until QEMU ends; whether it ended."""
        return self._spawn.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=within) == 0

    def pending(self) -> str:
        """The text that was read and not yet waited for."""
        return self._spawn.buffer

    def type_line(self, text: str) -> None:
        """Type a line. What is typed is logged only as far as the guest echoes it."""
        os.write(self.sink, f"{text}\n".encode())

    def tail(self) -> str:
        """The last lines that came, and where all of them are, to end a message with."""
        lines = [CONTROL.sub("", line).rstrip() for line in self._recent.splitlines()]
        lines = [line for line in lines if line][-TAIL_LINES:]
        where = f"\n  serial log: {self.log}" if self.log else ""
        if not lines:
            return f"its {self.name} stayed silent{where}"
        shown = "\n".join(f"  | {line}" for line in lines)
        return f"its {self.name} ended with\n{shown}{where}"

    def write(self, text: str) -> None:
        """Called by pexpect with what it read: keeps enough for ``tail``."""
        self._recent = (self._recent + text)[-TAIL_LINES * 200 :]

    def flush(self) -> None:
        """Called by pexpect; nothing is held back."""
