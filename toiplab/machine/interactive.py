"""The machine for a person: what leads into it, and its console in the terminal."""

from __future__ import annotations

import os
import selectors
import sys
import termios
import tty
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from toiplab.hardware import Forward
from toiplab.machine.console import Console
from toiplab.machine.machine import Machine
from toiplab.machine.waiting import GuestError
from toiplab.progress import Progress

ESCAPE = b"\x01"  # Ctrl-A, as with QEMU's own -serial mon:stdio
READ_BYTES = 4096
SSH_PORT = 22
SIP_PORT = 5060


def boot_for_person(machine: Machine, progress: Progress, *, user: str) -> None:
    """Start the machine, print what leads into it, and hand its console to the terminal.

    Returns when the machine has ended: switched off from inside, or by Ctrl-A X. ``user``
    is whom the ssh line names.

    Raises:
        ToipLabError: the machine cannot start.
    """
    with progress.step(f"Starting {machine.hardware.name}"):
        machine.start()
    progress.note("the console is silent until it asks for a login: a minute without KVM")
    hand_over(machine, progress, user=user)


def hand_over(machine: Machine, progress: Progress, *, user: str) -> None:
    """Print what leads into a running machine, and hand its console to the terminal.

    Returns when the machine has ended; see ``boot_for_person``.
    """
    for line in forward_lines(machine.hardware.forwards, user):
        progress.note(line)
    progress.note("what is changed inside is lost at its end; an imported machine keeps it")
    progress.note("Ctrl-A X ends the machine; Ctrl-A Ctrl-A sends a Ctrl-A")
    os.write(sys.stdout.fileno(), machine.console.pending().encode(errors="surrogateescape"))
    attach(machine.console, sys.stdin.fileno(), sys.stdout.fileno())
    machine.stop()
    progress.note("the machine has ended")


def keep_for_person(machine: Machine) -> None:
    """Leave a machine to a person until it ends, its console in this terminal."""
    with suppress(GuestError):  # one that is sick is wanted most
        machine.log_out()
        machine.console.type_line("")  # so that it asks for a login once more
    hand_over(machine, Progress(), user=machine.account.user if machine.account else "user")


def forward_lines(forwards: Iterable[Forward], user: str) -> Iterator[str]:
    """One line for each forward, runs of neighbouring ports in one."""
    for run in _runs(forwards):
        first, last = run[0], run[-1]
        address = first.host_address
        if (first.protocol, first.guest_port) == ("tcp", SSH_PORT):
            lead = f"ssh -p {first.host_port} {user}@{address}"
        elif first.guest_port == SIP_PORT:
            lead = f"SIP server {address}:{first.host_port} ({first.protocol})"
        else:
            lead = f"{first.protocol} {address}:{_span(first.host_port, last.host_port)}"
        name = first.name if first == last else first.name.rstrip("0123456789-_ ")
        yield f"{name}: {lead}  ->  guest port {_span(first.guest_port, last.guest_port)}"


def _runs(forwards: Iterable[Forward]) -> list[list[Forward]]:
    runs: list[list[Forward]] = []
    for forward in forwards:
        if runs and _follows(forward, runs[-1][-1]):
            runs[-1].append(forward)
        else:
            runs.append([forward])
    return runs


def _follows(forward: Forward, other: Forward) -> bool:
    return (
        forward.protocol == other.protocol
        and forward.host_address == other.host_address
        and forward.host_port == other.host_port + 1
        and forward.guest_port == other.guest_port + 1
    )


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def attach(console: Console, keyboard: int, screen: int) -> None:
    """Carry bytes between a terminal's descriptors and a console, until either side ends.

    Ctrl-A X leaves. A keyboard that ends (input that is no terminal) is just no longer read.
    """
    with _raw(keyboard), selectors.DefaultSelector() as ready:
        ready.register(console.source, selectors.EVENT_READ)
        with suppress(PermissionError):  # a plain file, such as /dev/null, cannot be waited for
            ready.register(keyboard, selectors.EVENT_READ)
        escaped = False
        while True:
            for key, _ in ready.select():
                text = _read(key.fd)
                if key.fd == console.source:
                    if not text:
                        return
                    os.write(screen, text)
                elif text:
                    passed, escaped, leave = filter_keys(text, escaped)
                    if leave:
                        return
                    os.write(console.sink, passed)
                else:
                    ready.unregister(keyboard)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:  # EIO is how a terminal says that its other end is gone
        return b""


def filter_keys(typed: bytes, escaped: bool) -> tuple[bytes, bool, bool]:
    """What of the typed keys goes to the guest; whether Ctrl-A is pending; whether to leave."""
    passed = bytearray()
    for key in (typed[index : index + 1] for index in range(len(typed))):
        if escaped and key in b"xX":
            return bytes(passed), False, True
        if key == ESCAPE and not escaped:
            escaped = True
            continue
        passed += key
        escaped = False
    return bytes(passed), escaped, False


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """The terminal passes every key on as it is; restored afterwards."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
