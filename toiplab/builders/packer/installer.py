"""What Debian's installer tells of itself: its syslog, which it sends over UDP (RFC 3164).

From it come the phase it is in, the question it waits at when the preseed has no answer
that it takes, and its errors.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
LARGEST_MESSAGE = 16384
PRIORITY = re.compile(rb"^<\d+>")
MENU_ITEM = re.compile(r"main-menu\[\d+\]: INFO: Menu item '([^']+)' selected")
ASKING = re.compile(r"debconf: --> INPUT (\S+) (\S+)")
WILL_ASK = "debconf: <-- 0 question will be asked"
CONVERSATION = re.compile(r"\bdebconf(?: \(developer\))?: ")  # the installer's, the target's
WAITS = re.compile(r"debconf: --> GO\b")
ANSWERED = re.compile(r"debconf: <-- ")
TROUBLE = re.compile(
    r"WARNING \*\*|\berror\b|\bfailed\b|\bE: |No space left|cannot|unable to|not found",
    re.IGNORECASE,
)
# Everyday lines of the installer that only sound like trouble.
HARMLESS = re.compile(
    r"kernel:|modprobe|udevd|DEBUG|debconf:|can't open '/dev/(?!sda)|errors=remount|libgpg-error|"
    r"mount: mounting .* failed: Invalid argument"
)
QUESTION_SECONDS = 120  # under TCG a dialog takes its time until it is drawn and answered
SHOWN_LINES = 6

# What the installer's menu calls its steps, in its order, and what a person would.
PHASES = {
    "localechooser": "Installer: language and keyboard",
    "netcfg": "Installer: network",
    "choose-mirror": "Installer: mirror",
    "download-installer": "Installer: its own parts",
    "load-cdrom": "Installer: its own parts",
    "user-setup-udeb": "Installer: accounts and clock",
    "partman-base": "Installer: partitions",
    "bootstrap-base": "Installer: base system and kernel",
    "apt-setup-udeb": "Installer: package sources",
    "pkgsel": "Installer: software selection",
    "grub-installer": "Installer: GRUB",
    "finish-install": "Installer: finish",
}


@dataclass(frozen=True)
class Question:
    """A question that the installer asks a person; ``since`` is on time.monotonic's clock."""

    name: str
    priority: str
    since: float


@dataclass
class InstallerLog:
    """Reads the installer's messages as they come, and remembers what matters.

    All of them go to ``file``, but for debconf's conversation, which holds the answers, the
    password's hash among them; of that only the questions are kept.
    """

    file: Path
    clock: Callable[[], float] = time.monotonic
    heard: float = 0.0
    question: Question | None = None
    asked: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    _offered: tuple[str, str] | None = None
    _pending: Question | None = None
    _waiting: bool = False

    def take(self, message: bytes) -> str | None:
        """Take one message; return the title of the phase that it begins, if it does."""
        self.heard = self.clock()
        text = PRIORITY.sub(b"", message.rstrip(b"\0\n")).decode(errors="replace")
        self._follow(text)
        if not CONVERSATION.search(text) or ASKING.search(text) or WILL_ASK in text:
            with self.file.open("a", encoding="utf-8") as out:
                out.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        if TROUBLE.search(text) and not HARMLESS.search(text):
            self.trouble.append(text)
        item = MENU_ITEM.search(text)
        return PHASES.get(item[1]) if item else None

    def waits_at(self) -> str | None:
        """The question at which the installer has been waiting for a person, if it does."""
        asked = self.question
        if asked is None or self.clock() - asked.since < QUESTION_SECONDS:
            return None
        return asked.name

    def last_trouble(self) -> list[str]:
        """The installer's own last words on what went wrong."""
        return list(dict.fromkeys(self.trouble))[-SHOWN_LINES:]

    def _follow(self, text: str) -> None:
        """Follow debconf's protocol: an INPUT that will be asked, a GO, and its answer."""
        if found := ASKING.search(text):
            self._offered = (found[2], found[1])
        elif WILL_ASK in text and self._offered is not None:
            name, priority = self._offered
            self._pending = Question(name, priority, self.clock())
        elif WAITS.search(text):
            if self._pending is not None:
                self.question = self._pending
                self.asked.append(self._pending.name)
                self._pending = None
        elif ANSWERED.search(text):
            self.question = None


class Receiver:
    """The socket on loopback that the installer's syslog arrives at; ``port`` is free to take."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.setblocking(False)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """The UDP port."""
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """For select(2)."""
        return self._socket.fileno()

    def messages(self) -> Iterator[bytes]:
        """The messages that have arrived."""
        while True:
            try:
                yield self._socket.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return
