"""A capture: ``record`` at work in the lab's namespace while a block runs."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from toiplab.errors import ToipLabError
from toiplab.files import private
from toiplab.machine.lan import record
from toiplab.machine.lan.namespaces import Namespace
from toiplab.machine.lan.programs import end

ANSWER_SECONDS = 10


class CaptureError(ToipLabError):
    """A capture that cannot be made, or has not all that went by."""


@contextmanager
def recording(namespace: Namespace, bridge: str, file: Path) -> Iterator[None]:
    """Record during the block what goes over a bridge; see ``LabNetwork.capture``."""
    ours, theirs = socket.socketpair()
    ours.settimeout(ANSWER_SECONDS)
    with ours, ours.makefile("r", errors="replace") as messages:
        with theirs, _opened(file) as records:
            recorder = namespace.programs.start(
                [sys.executable, "-I", record.__file__, bridge],
                prefix=namespace.enter,
                stdin=theirs.fileno(),
                stdout=records,
                stderr=theirs.fileno(),
            )
        try:
            if (said := _answer(messages.readline, file)) != f"{record.READY}\n":
                said += _answer(messages.read, file)
                raise CaptureError(f"{file}: no capture: {_last_line(said)}")
            yield
            ours.shutdown(socket.SHUT_WR)  # its input ends, and so does it
            said = _answer(messages.read, file)
            if recorder.wait(ANSWER_SECONDS) != 0:
                raise CaptureError(f"{file}: the capture is not whole: {_last_line(said)}")
        finally:
            end(recorder)


def _opened(file: Path) -> IO[bytes]:
    try:
        return private(file)
    except OSError as error:
        raise CaptureError(f"{file}: cannot be written: {error.strerror}") from error


def _answer(read: Callable[[], str], file: Path) -> str:
    try:
        return read()
    except TimeoutError:
        raise CaptureError(
            f"{file}: the capture did not answer within {ANSWER_SECONDS} s"
        ) from None


def _last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2]
