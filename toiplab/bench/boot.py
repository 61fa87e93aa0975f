"""The contest about booting: from power-on to the first answer to a SIP request.

The OVA and a plain image of the same packages (``plain.py``) are booted in turns, in
software, so that what else the host does disturbs both alike.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from toiplab.bench.contest import Contest, Contestant, Measured
from toiplab.errors import ToipLabError
from toiplab.exam.candidate import Candidate
from toiplab.hardware import Forward
from toiplab.machine.machine import Machine
from toiplab.machine.ports import forward_named, reached_at
from toiplab.machine.qemu import Disk
from toiplab.machine.waiting import Deadline
from toiplab.phones.sipsak import STATUS_LINE
from toiplab.progress import Progress

WITHIN_SECONDS = 600
ASK_SECONDS = "0.5"  # how long one request waits; the boot's time is known to that
BOOT = "boot"
TICKS = os.sysconf("SC_CLK_TCK")


def boots(own: Candidate, plain: Path, *, rounds: int) -> Contest:
    """Booting an OVA, beside a raw disk that holds the same packages; that one is the first."""

    def plain_machine(logs: Path) -> Machine:
        return Machine(own.ova.hardware, Disk(str(plain), "raw"), logs, accelerator="tcg")

    def own_machine(logs: Path) -> Machine:
        return own.machine(logs, accelerator="tcg", progress=Progress())

    return Contest(
        BOOT,
        "From power-on to the first SIP answer, in QEMU without KVM",
        (
            Contestant(
                "plain Debian",
                "the same packages, as apt leaves them",
                partial(_measure, boot, plain_machine),
            ),
            Contestant(
                "toip-lab",
                "the OVA's first boot, keys and identity made in it",
                partial(_measure, boot, own_machine),
                ours=True,
            ),
            Contestant(
                "toip-lab, again",
                "its second boot",
                partial(_measure, boot_again, own_machine),
                ours=True,
            ),
        ),
        rounds,
    )


def _measure(
    run: Callable[[Machine], Measured], machine_for: Callable[[Path], Machine], folder: Path
) -> Measured:
    with machine_for(folder) as machine:
        return run(machine)


def boot(machine: Machine) -> Measured:
    """Switch a machine on and wait until its SIP server answers.

    Raises:
        ToipLabError: it does not, or the machine cannot be started.
    """
    began = time.monotonic()
    machine.start()
    return wait_for_sip(machine, began, 0.0)


def boot_again(machine: Machine) -> Measured:
    """Switch a machine on and restart it; the time counts from the firmware's first moment.

    Raises:
        ToipLabError: it does not come back.
    """
    machine.boot()
    machine.succeed("systemctl is-system-running --wait || true", timeout=WITHIN_SECONDS)
    machine.qemu.qmp.forget_events()
    machine.shell.start("systemctl reboot")
    machine.qemu.qmp.wait_for_event("RESET", WITHIN_SECONDS)
    return wait_for_sip(machine, time.monotonic(), processor_seconds(machine))


def wait_for_sip(machine: Machine, began: float, used: float) -> Measured:
    """Ask for its SIP server's options (RFC 3261 section 11) until there is an answer.

    Raises:
        ToipLabError: there was none in time.
    """
    forward = forward_named(machine.hardware, "sip")
    deadline = Deadline.within(WITHIN_SECONDS)
    while not answers(forward):
        if not machine.qemu.running:
            raise ToipLabError("no SIP answer: the machine has ended")
        if deadline.passed:
            raise ToipLabError(f"no SIP answer within {WITHIN_SECONDS} s of power-on")
    return Measured(time.monotonic() - began, processor_seconds(machine) - used)


def answers(forward: Forward) -> bool:
    """Whether a SIP server answers behind a forward, whatever it says."""
    uri = f"sip:{reached_at(forward)}:{forward.host_port}"
    asked = subprocess.run(
        ["timeout", ASK_SECONDS, "sipsak", "-vv", "-s", uri],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return STATUS_LINE.search(asked.stdout) is not None


def processor_seconds(machine: Machine) -> float:
    """What QEMU has used of the host's processors, proc(5)."""
    stat = Path(f"/proc/{machine.qemu.process.pid}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
