"""One running QEMU: started on a throw-away overlay, ended with everything it had."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.machine.commandline import Channels, CommandLine
from toiplab.machine.qmp import Qmp
from toiplab.machine.waiting import MachineGoneError

END_SECONDS = 10
SERIAL_BUFFER = 1 << 20  # bytes; what any user may have, pipe(7)


@dataclass(frozen=True)
class Disk:
    """The shipped disk, only ever read: a path or a ``json:`` pseudo name, and its format.

    Both as ``qemu-img create -b … -F …`` takes them; a path must be absolute.
    """

    backing: str
    format: str


@dataclass(frozen=True)
class SerialPort:
    """The host's descriptors of a serial port: ``source`` to read, ``sink`` to write.

    FIFOs, and not a socket: a socket is full after a few hundred bytes that come one by
    one, and then the guest stops in the middle of a line until somebody reads.
    """

    source: int
    sink: int

    @classmethod
    def create(cls, stem: Path) -> SerialPort:
        """Make the two FIFOs that ``Channels.serial`` names, and open our ends, fifo(7)."""
        to_guest, from_guest = (stem.with_suffix(suffix) for suffix in (".in", ".out"))
        os.mkfifo(to_guest, 0o600)
        os.mkfifo(from_guest, 0o600)
        source = os.open(from_guest, os.O_RDONLY | os.O_NONBLOCK)
        with suppress(PermissionError):  # a user with a great many pipes gets less
            fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, SERIAL_BUFFER)
        os.set_blocking(source, True)
        return cls(source, os.open(to_guest, os.O_RDWR))

    def close(self) -> None:
        """Close both descriptors."""
        os.close(self.source)
        os.close(self.sink)


class Qemu:
    """A QEMU process, with the host's ends of its serial port and of its control socket."""

    def __init__(self, process: subprocess.Popen[bytes], serial: SerialPort, qmp: Qmp) -> None:
        self.process = process
        self.serial = serial
        self.qmp = qmp

    @classmethod
    def start(
        cls, disk: Disk, command_line: Callable[[Path, Channels], CommandLine], log: Path
    ) -> Qemu:
        """Start QEMU on a fresh overlay of ``disk``; what it complains of goes to ``log``.

        ``command_line`` is given the overlay and the channels. QEMU is killed when this
        process ends in whatever way (prctl(2), PR_SET_PDEATHSIG; it goes by the calling
        thread, so start machines from one that lasts). The files' names are removed as
        soon as QEMU has them open, so nothing is left even then.

        Raises:
            ToipLabError: the overlay cannot be made.
            MachineGoneError: QEMU ended at once; the message has what it said.
        """
        host.require("qemu-system-x86_64", "qemu-img", "setpriv")
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="machine-", dir=log.parent) as name,
            ExitStack() as undo,
        ):
            folder = Path(name).resolve()
            overlay = folder / "overlay.qcow2"
            backing = ["-b", disk.backing, "-F", disk.format]
            host.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay])
            serial = SerialPort.create(folder / "serial")
            undo.callback(serial.close)
            control, peer = socket.socketpair()
            undo.callback(control.close)
            with peer:
                channels = Channels(folder / "serial", peer.fileno())
                argv = command_line(overlay, channels).argv()
                process = _spawn(argv, channels, log)
            undo.callback(process.wait)
            undo.callback(process.kill)
            try:
                qmp = Qmp(control)
            except MachineGoneError:
                _end(process)
                raise _ended_at_once(process.returncode, log) from None
            undo.pop_all()
        return cls(process, serial, qmp)

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Wait for QEMU to end by itself; whether it did."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End QEMU, politely or not, and close the channels; does nothing the second time."""
        try:
            if self.running:
                self.qmp.quit()
        except ToipLabError:
            pass  # it is stuck, or ended this moment
        finally:
            _end(self.process)
            self.qmp.close()
            self.serial.close()


def _spawn(argv: list[str], channels: Channels, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as messages:
        messages.write(f"$ {shlex.join(argv)}\n".encode())
        messages.flush()
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            pass_fds=(channels.qmp,),
            start_new_session=True,  # a terminal's Ctrl-C is for us; we end QEMU
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Give a process a moment to end, then kill it."""
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ended_at_once(status: int, log: Path) -> MachineGoneError:
    said = [line for line in host.tail(log).splitlines() if not line.startswith("$ ")]
    return MachineGoneError(
        f"QEMU ended at once, with status {status}:\n"
        + "\n".join(f"  | {line}" for line in said)
        + f"\n  log: {log}"
    )
