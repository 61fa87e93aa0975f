"""The appliance as a running machine, with an API that reads like the story of a test.

with Machine(hardware, disk, Path("build/smoke"), account) as machine:
    machine.boot()
    machine.wait_for_unit("asterisk.service")
    machine.succeed("asterisk -rx 'sip show peers'")
    machine.reboot()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from toiplab.files import private
from toiplab.hardware import Hardware
from toiplab.host import Finished
from toiplab.machine import ports
from toiplab.machine.accelerator import Accelerator, Choice, KvmMemory, candidates
from toiplab.machine.commandline import Channels, CommandLine, EmptyLan, Lan, netdev_name
from toiplab.machine.console import Console
from toiplab.machine.qemu import Disk, Qemu
from toiplab.machine.shell import LOGIN_PROMPT, Account, Shell
from toiplab.machine.units import Unit, UnitState
from toiplab.machine.waiting import Deadline, DeadlineError, GuestError, MachineGoneError
from toiplab.progress import Progress

BOOT_SECONDS = 240
KVM_SECONDS = 20
TCG_SECONDS = 60
END_SECONDS = 90
PAUSE_SECONDS = 1.0
LAST_TRY_SECONDS = 5.0

KERNEL_SIGN = rf"(?=Linux version|\[ *\d+\.\d{{6}}\]|  OK  |systemd|{LOGIN_PROMPT})"
HOPELESS = (r"Kernel panic", r"\(initramfs\)", r"emergency mode", r"grub rescue>")


class Machine:
    """A machine with the given hardware, running from a throw-away copy of ``disk``.

    It runs once, inside a ``with`` block, and nothing of it is left after the block but
    ``serial.log`` and ``qemu.log`` in the folder ``logs``. Waits are in seconds. Commands
    run as root, reached by logging in as ``account`` at the serial console.

    Every method may raise GuestError, DeadlineError or MachineGoneError (a GuestError all).
    """

    def __init__(
        self,
        hardware: Hardware,
        disk: Disk,
        logs: Path,
        account: Account | None = None,
        *,
        accelerator: Choice = "auto",
        kvm_memory: KvmMemory | None = None,
        lan: Lan | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.hardware = hardware
        self.disk = disk
        self.account = account
        self.serial_log = logs.resolve() / "serial.log"
        self.qemu_log = logs.resolve() / "qemu.log"
        self.accelerator = Accelerator.TCG
        self._choice = accelerator
        self._kvm_memory = kvm_memory or KvmMemory(logs.resolve() / "kvm-fails")
        self._lan = lan or EmptyLan()
        self._progress = progress or Progress()
        self._qemu: Qemu | None = None
        self._console: Console | None = None
        self._shell: Shell | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Power

    def start(self) -> None:
        """Switch the machine on, under the best accelerator that brings a kernel up.

        Raises:
            ToipLabError: a port is taken, a program is missing, or QEMU ends at once.
        """
        choices = candidates(self._choice, self._kvm_memory)
        ports.check_free(self.hardware.forwards)
        for log in (self.serial_log, self.qemu_log):
            log.unlink(missing_ok=True)
        if len(choices) == 1:
            self._launch(choices[0])
        elif not self._comes_up_under(choices[0]):
            self._progress.warn("Linux does not come up under KVM on this host; trying TCG")
            self.stop()
            self._launch(choices[1])
            if self._kernel_speaks(TCG_SECONDS):
                self._kvm_memory.remember_failure()

    def boot(self, within: float = BOOT_SECONDS) -> None:
        """Switch on and wait for the login prompt."""
        self.start()
        self.wait_for_login(within)

    def wait_for_login(self, within: float = BOOT_SECONDS) -> None:
        """Wait for the login prompt of a machine that was switched on."""
        what = f"a login prompt (under {self.accelerator.upper()})"
        self.console.wait_for(LOGIN_PROMPT, within, what=what, hopeless=HOPELESS)

    def log_out(self, within: float = END_SECONDS) -> None:
        """Leave the console as it was found: asking for a login."""
        if self._shell is not None:
            self._shell.start("exit")
            self._shell = None
            self.wait_for_login(within)

    def reboot(self, within: float = BOOT_SECONDS) -> None:
        """Restart as an administrator would, and wait for the new login prompt."""
        self.qemu.qmp.forget_events()
        self.shell.start("systemctl reboot")
        self._shell = None
        self.qemu.qmp.wait_for_event("RESET", END_SECONDS)
        self.wait_for_login(within)

    def crash(self, within: float = BOOT_SECONDS) -> None:
        """Press reset without warning the guest; wait until it comes up from its disk."""
        self._shell = None
        self.console.rest(0)
        self.qemu.qmp.reset()
        self.wait_for_login(within)

    def shutdown(self, within: float = END_SECONDS) -> None:
        """Press the power button and wait until the guest has switched itself off."""
        self._shell = None
        with suppress(MachineGoneError):  # it was just switching itself off
            self.qemu.qmp.powerdown()
        ended = self.console.rest(within)
        trouble = self.console.tail()
        self.stop()
        if not ended:
            raise DeadlineError(
                f"the guest did not switch itself off within {within:g} s of the power"
                f" button; {trouble}"
            )

    def stop(self) -> None:
        """Cut the power; does nothing to a machine that is off."""
        if self._qemu is not None:
            self._qemu.stop()
        self._qemu = self._console = self._shell = None

    # Commands

    def run(self, command: str, *, timeout: float = 60) -> Finished:
        """Run a bash script as root and return its status and output, stderr included."""
        return self.shell.run(command, timeout=timeout)

    def succeed(self, command: str, *, timeout: float = 60) -> str:
        """The output of a command that must succeed."""
        finished = self.run(command, timeout=timeout)
        if finished.status != 0:
            raise GuestError(f"in the guest, {_told(command, finished)}")
        return finished.output

    def fail(self, command: str, *, timeout: float = 60) -> str:
        """The output of a command that must fail."""
        finished = self.run(command, timeout=timeout)
        if finished.status == 0:
            raise GuestError(
                f"in the guest, this should have failed: {command}{_below(finished.output)}"
            )
        return finished.output

    # Waits

    def wait_until_succeeds(self, command: str, within: float = 60) -> str:
        """Try a command until it succeeds; returns its output. The error tells the last try."""

        def tried(remaining: float) -> tuple[bool, str]:
            finished = self.run(command, timeout=max(LAST_TRY_SECONDS, remaining))
            told = finished.output if finished.status == 0 else _told(command, finished)
            return finished.status == 0, told

        return self._wait(tried, within, f"{command!r} succeeded")

    def wait_for_unit(self, name: str, within: float = 60) -> None:
        """Wait until a systemd unit is active.

        A unit that has failed, or does not exist, ends the wait at once; the message has
        the end of its journal.
        """

        def looked(_remaining: float) -> tuple[bool, str]:
            unit = Unit.read(name, self.succeed(Unit.query(name)))
            if unit.state is UnitState.LOST:
                journal = self.run(f"journalctl --no-pager --lines 10 --unit {name}").output
                raise GuestError(f"in the guest, {unit}{_below(journal)}")
            return unit.state is UnitState.ACTIVE, str(unit)

        self._wait(looked, within, f"{name} was active")

    def wait_for_console_text(self, pattern: str, within: float = 60) -> str:
        """Wait for a text (regular expression) on the serial console; returns the match."""
        return self.console.wait_for(pattern, within).match[0]

    def screenshot(self, image: Path) -> None:
        """Write what the machine's screen shows to a PNG file."""
        part = image.resolve().with_suffix(".part")
        self.qemu.qmp.screendump(part)
        part.replace(image)

    @contextmanager
    def capture(self, adapter: int, file: Path) -> Iterator[None]:
        """Record, into a pcap file, what goes through adapter number ``adapter`` in the block.

        The machine must be on. A reboot does not end it, the machine's end does.
        """
        netdev = netdev_name(adapter)
        private(file).close()  # QEMU then writes to that file
        self.qemu.qmp.begin_dump(netdev, file.resolve())
        try:
            yield
        finally:
            with suppress(GuestError):  # it is off, or was switched on again
                self.qemu.qmp.end_dump(netdev)

    # Parts

    @property
    def running(self) -> bool:
        """Whether the machine is on."""
        return self._qemu is not None and self._qemu.running

    @property
    def qemu(self) -> Qemu:
        """The running QEMU; GuestError when the machine is off."""
        if self._qemu is None:
            raise GuestError(f"the machine {self.hardware.name} is not running")
        return self._qemu

    @property
    def console(self) -> Console:
        """The serial console; GuestError when the machine is off."""
        if self._console is None:
            raise GuestError(f"the machine {self.hardware.name} is not running")
        return self._console

    @property
    def shell(self) -> Shell:
        """A root shell; the first use after each boot logs in."""
        if self._shell is None:
            if self.account is None:
                raise GuestError("no account was given to log in with")
            self._shell = Shell.log_in(self.console, self.account)
        return self._shell

    def _launch(self, accelerator: Accelerator) -> None:
        def command_line(overlay: Path, channels: Channels) -> CommandLine:
            return CommandLine(
                self.hardware, overlay, self.serial_log, accelerator, channels, self._lan
            )

        self._qemu = Qemu.start(self.disk, command_line, self.qemu_log)
        self._console = Console(self._qemu.serial.source, self._qemu.serial.sink, self.serial_log)
        self.accelerator = accelerator

    def _comes_up_under(self, accelerator: Accelerator) -> bool:
        try:
            self._launch(accelerator)
        except MachineGoneError:
            return False
        return self._kernel_speaks(KVM_SECONDS)

    def _kernel_speaks(self, within: float) -> bool:
        """Watch for the first sign of a kernel; it is left for the next wait."""
        try:
            self.console.wait_for(KERNEL_SIGN, within)
        except GuestError:
            return False
        return True

    def _wait(self, attempt: Callable[[float], tuple[bool, str]], within: float, what: str) -> str:
        """Try (with the seconds that remain) until it works; then read the console a moment."""
        deadline = Deadline.within(within)
        while True:
            done, told = attempt(deadline.remaining)
            if done:
                return told
            if deadline.passed:
                raise DeadlineError(f"not within {within:g} s: {what}; the last try: {told}")
            self.console.rest(min(PAUSE_SECONDS, deadline.remaining))


def _told(command: str, finished: Finished) -> str:
    return f"this ended with status {finished.status}: {command}{_below(finished.output)}"


def _below(text: str) -> str:
    return "".join(f"\n  | {line}" for line in text.splitlines())
