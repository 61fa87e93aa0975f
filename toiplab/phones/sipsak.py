"""Questions to a SIP server from outside, by sipsak(1).

A secret goes to sipsak over its standard input (``-a -``), never into its arguments, which
every user of the host can read.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError

LONGEST_SECRET = 20  # what sipsak takes from its standard input
PATIENCE_SECONDS = 40  # sipsak itself gives up after 64 times T1, half a minute (RFC 3261 17.1)
STATUS_LINE = re.compile(r"^\s*SIP/2\.0 (\d{3}) (.*?)\s*$", re.MULTILINE)
SERVER = re.compile(r"^Server: (.*?)\s*$", re.MULTILINE)
OK = 200
ACCEPTED, REFUSED = 0, 1  # sipsak's exit statuses; others mean that nothing answered


@dataclass(frozen=True)
class Answer:
    """A server's final answer: its status (RFC 3261 section 21), 0 when none came.

    ``server`` is what it calls itself, where sipsak shows it.
    """

    status: int
    reason: str
    server: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the server said 200."""
        return self.status == OK

    def __str__(self) -> str:
        return f"{self.status} {self.reason}" if self.status else self.reason


@dataclass(frozen=True)
class Server:
    """A SIP server at an address and a UDP port; what sipsak says is kept in ``log``."""

    address: IPv4Address
    port: int
    log: Path

    def options(self) -> Answer:
        """Ask what it can do: OPTIONS, RFC 3261 section 11."""
        return self._ask(["-vv"], f"sip:{self.address}")

    def register(self, number: str, secret: str) -> Answer:
        """Register a phone (RFC 3261 section 10) and, if it was let in, take it back.

        Raises:
            ToipLabError: the secret is longer than sipsak can take.
        """
        if len(secret) > LONGEST_SECRET:
            raise ToipLabError(
                f"extension {number}: its secret is longer than {LONGEST_SECRET} characters, "
                "more than sipsak takes",
                hint="examine a phone with a shorter secret",
            )
        contact = ["-C", f"sip:{number}@{self.address}:9", "-x", "60"]  # 9: discard
        answer = self._register(number, secret, contact)
        if answer.accepted:
            self._register(number, secret, ["-C", "*", "-x", "0"])
        return answer

    def _register(self, number: str, secret: str, contact: list[str]) -> Answer:
        # sipsak 0.9.8 authenticates as "2001@" unless -u says 2001.
        words = ["-U", "-i", "-a", "-", "-u", number, *contact]
        return self._ask(words, f"sip:{number}@{self.address}", f"{secret}\n")

    def _ask(self, words: list[str], uri: str, typed: str = "") -> Answer:
        """Run sipsak; the port is apart from the URI, where it would lose its fifth digit."""
        host.require("sipsak", "timeout")
        begins = self.log.stat().st_size if self.log.exists() else 0
        source, sink = os.pipe()
        try:
            os.write(sink, typed.encode())
            os.close(sink)
            argv = ["timeout", str(PATIENCE_SECONDS), "sipsak", *words]
            status = host.run(
                [*argv, "-r", str(self.port), "-s", uri], log=self.log, stdin=source, check=False
            ).status
        finally:
            os.close(source)
        with self.log.open("rb") as log:
            log.seek(begins)
            return read_answer(status, log.read().decode(errors="replace"))


def read_answer(status: int, output: str) -> Answer:
    """What sipsak's exit status and output say of the server's final answer."""
    server = SERVER.search(output)
    name = server[1] if server else ""
    if status not in (ACCEPTED, REFUSED):
        return Answer(0, f"no answer (sipsak ended with status {status})", name)
    lines = STATUS_LINE.findall(output)
    if lines:
        code, reason = lines[-1]
        return Answer(int(code), reason, name)
    if status == ACCEPTED:  # without -v it is silent about a success
        return Answer(OK, "OK", name)
    return Answer(0, "sipsak was refused and does not say how", name)
