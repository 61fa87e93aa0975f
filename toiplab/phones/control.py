"""The remote control of a baresip: its module ctrl_tcp, netstrings that hold JSON objects.

The phone may stand in another network namespace, where its control port can only be reached
by a socket made there: a short-lived helper makes it and hands it over (unix(7), SCM_RIGHTS).
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from toiplab.machine.waiting import Deadline
from toiplab.phones.handset import PhoneBrokenError, PhoneError, Runner

ANSWER_SECONDS = 15.0
CHUNK = 1 << 16
NETSTRING = re.compile(rb"(\d{1,9}):")
MAKE_SOCKET = (
    "import socket, sys; "
    "way = socket.socket(fileno=int(sys.argv[1])); "
    "made = socket.socket(); "
    "socket.send_fds(way, [b'!'], [made.fileno()])"
)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Event:
    """Something the phone tells of itself, such as ``CALL_ESTABLISHED``, and when it did.

    ``detail`` is what baresip calls ``param``: the other's address, or why a call ended.
    """

    at: float
    type: str
    detail: str


def socket_there(runner: Runner) -> socket.socket:
    """A TCP socket, not yet connected, made where the runner runs things."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [sys.executable, "-I", "-S", "-c", MAKE_SOCKET, str(theirs.fileno())]
        made = subprocess.run(
            runner(argv), pass_fds=(theirs.fileno(),), capture_output=True, check=False
        )
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace").strip()
            raise PhoneBrokenError(f"cannot reach the place of the phone: {said}")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])


class Control:
    """Commands to one baresip, and the events it tells, each with the time it came.

    A thread of its own reads, so that an event's time is true whoever looks when.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._news = threading.Condition()
        self._events: list[Event] = []
        self._answers: dict[str, tuple[bool, str]] = {}
        self._commands = 0
        self._gone = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def command(self, name: str, parameters: str = "") -> str:
        """Give a command and return what it says.

        Raises:
            PhoneError: it was refused.
            PhoneBrokenError: nothing answers.
        """
        self._commands += 1
        token = str(self._commands)
        words = {"command": name, "params": parameters, "token": token}
        try:
            self._connection.sendall(netstring(json.dumps(words).encode()))
        except OSError:
            self._gone = True
        answer = self.wait(lambda: self._answers.pop(token, None), ANSWER_SECONDS)
        if answer is None:
            raise PhoneBrokenError(f"baresip does not answer to {name}")
        accepted, said = answer
        if not accepted:
            raise PhoneError(f"baresip refuses {name}: {said.strip()}")
        return said

    @property
    def count(self) -> int:
        """How many events have been told so far."""
        with self._news:
            return len(self._events)

    def events(self, since: int = 0) -> tuple[Event, ...]:
        """The events told so far, but for the first ``since``."""
        with self._news:
            return tuple(self._events[since:])

    def wait(self, look: Callable[[], Found | None], within: float) -> Found | None:
        """Look whenever something is told, until something is found; None in the end.

        The end is the time's, or the phone's: then there is nothing left to wait for.
        """
        deadline = Deadline.within(within)
        with self._news:
            while (found := look()) is None and not self._gone and not deadline.passed:
                self._news.wait(deadline.remaining)
            return found

    def close(self) -> None:
        """Hang up on the phone's program."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._connection.close()

    def _read(self) -> None:
        buffer = b""
        try:
            while chunk := self._receive():
                messages, buffer = split_netstrings(buffer + chunk)
                with self._news:
                    for message in messages:
                        self._take(json.loads(message))
                    self._news.notify_all()
        finally:
            with self._news:
                self._gone = True
                self._news.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(CHUNK)
        except OSError:
            return b""

    def _take(self, message: dict[str, object]) -> None:
        if message.get("response"):
            token, said = str(message.get("token")), str(message.get("data", ""))
            self._answers[token] = (bool(message.get("ok")), said)
        elif message.get("event"):
            kind, detail = str(message.get("type")), str(message.get("param", ""))
            self._events.append(Event(time.monotonic(), kind, detail))


def netstring(payload: bytes) -> bytes:
    """A netstring: the length in decimal, a colon, the bytes, a comma."""
    return b"%d:%s," % (len(payload), payload)


def split_netstrings(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole netstrings that data begins with, and what is left."""
    found = []
    while head := NETSTRING.match(data):
        end = head.end() + int(head[1])
        if len(data) <= end:
            break
        found.append(data[head.end() : end])
        data = data[end + 1 :]
    return found, data
