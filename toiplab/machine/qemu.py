"""One running QEMU: started on a throw-away overlay, ended with everything it had."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.machine.commandline import Channels, CommandLine
from toiplab.machine.qmp import Qmp
from toiplab.machine.waiting import MachineGoneError

END_SECONDS = 10


@dataclass(frozen=True)
class Disk:
    """The shipped disk, only ever read: a path or a ``json:`` pseudo name, and its format.

    Both as ``qemu-img create -b … -F …`` takes them; a path must be absolute.
    """

    backing: str
    format: str


class Qemu:
    """A QEMU process, with the host's ends of its serial port and of its control socket."""

    def __init__(self, process: subprocess.Popen[bytes], serial: socket.socket, qmp: Qmp) -> None:
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
        thread, so start machines from one that lasts). The overlay's name is removed as
        soon as QEMU has it open, so nothing is left even then.

        Raises:
            ToipLabError: the overlay cannot be made.
            MachineGoneError: QEMU ended at once; the message has what it said.
        """
        host.require("qemu-system-x86_64", "qemu-img", "setpriv")
        log.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="machine-", dir=log.parent) as folder:
            overlay = Path(folder) / "overlay.qcow2"
            backing = ["-b", disk.backing, "-F", disk.format]
            host.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay])
            serial, serial_peer = socket.socketpair()
            control, control_peer = socket.socketpair()
            with serial_peer, control_peer:
                channels = Channels(serial_peer.fileno(), control_peer.fileno())
                argv = command_line(overlay.resolve(), channels).argv()
                process = _spawn(argv, channels, log)
            try:
                qmp = Qmp(control)
            except BaseException as error:
                serial.close()
                control.close()
                _end(process)
                if isinstance(error, MachineGoneError):
                    raise _ended_at_once(process.returncode, argv, log) from None
                raise
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
            pass_fds=(channels.serial, channels.qmp),
            start_new_session=True,  # a terminal's Ctrl-C is for us; we end QEMU
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Give a process a moment to end, then kill it."""
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ended_at_once(status: int, argv: list[str], log: Path) -> MachineGoneError:
    said = [line for line in host.tail(log).splitlines() if not line.startswith("$ ")]
    return MachineGoneError(
        f"QEMU ended at once, with status {status}:\n"
        + "\n".join(f"  | {line}" for line in said)
        + f"\n  log: {log}",
        hint=f"its command line begins the log: {argv[0]} …",
    )
