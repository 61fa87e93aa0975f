"""A capture: ``record`` at work in the lab's namespace while a block runs."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toiplab.errors import ToipLabError
from toiplab.machine.lan import record
from toiplab.machine.lan.namespaces import Namespace
from toiplab.machine.lan.programs import end

ANSWER_SECONDS = 10


@contextmanager
def recording(namespace: Namespace, bridge: str, file: Path) -> Iterator[None]:
    """Record during the block what goes over a bridge; see ``LabNetwork.capture``."""
    ours, theirs = socket.socketpair()
    ours.settimeout(ANSWER_SECONDS)
    with ours, ours.makefile("r", errors="replace") as messages:
        with theirs, file.open("wb") as records:
            recorder = namespace.programs.start(
                [sys.executable, "-I", record.__file__, bridge],
                prefix=namespace.enter,
                stdin=theirs.fileno(),
                stdout=records,
                stderr=theirs.fileno(),
            )
        try:
            said = messages.readline()
            if said != f"{record.READY}\n":
                raise ToipLabError(f"{file}: no capture: {_last_line(said + messages.read())}")
            yield
            ours.shutdown(socket.SHUT_WR)  # its input ends, and so does it
            said = messages.read()
            if recorder.wait(ANSWER_SECONDS) != 0:
                raise ToipLabError(f"{file}: the capture is not whole: {_last_line(said)}")
        except TimeoutError:
            raise ToipLabError(f"{file}: the capture does not answer") from None
        finally:
            end(recorder)


def _last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2]
