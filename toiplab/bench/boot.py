"""How long a machine boots: from power-on to the first answer to a SIP request.

python -m toiplab.bench.boot [ROUNDS]

The newest OVA and a plain image of the same packages (``plain.py``) are booted in turns, in
software, so that what else the host does disturbs both alike. Seconds of QEMU's processor
time stand beside those of the clock: they hardly depend on the host's load.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.bench import plain
from toiplab.builders.contract import Project, Request
from toiplab.builders.plan import plan
from toiplab.errors import ToipLabError
from toiplab.exam.candidate import newest_ova, read_candidate
from toiplab.hardware import Forward
from toiplab.machine.machine import Machine
from toiplab.machine.ports import forward_named, reached_at
from toiplab.machine.qemu import Disk
from toiplab.machine.waiting import Deadline
from toiplab.phones.sipsak import STATUS_LINE
from toiplab.progress import Progress
from toiplab.releases import by_codename

WITHIN_SECONDS = 600
ASK_SECONDS = "0.5"  # how long one request waits; the boot's time is known to that
ROUNDS = 3
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Boot:
    """One boot of ``name``, to the first SIP answer: seconds of the clock and of the processor."""

    name: str
    seconds: float
    processor: float


def boot(name: str, machine: Machine) -> Boot:
    """Switch a machine on and wait until its SIP server answers.

    Raises:
        ToipLabError: it does not, or the machine cannot be started.
    """
    began = time.monotonic()
    machine.start()
    return wait_for_sip(name, machine, began, 0.0)


def reboot(name: str, machine: Machine) -> Boot:
    """Restart a machine that is up; the time counts from the firmware's first moment.

    Raises:
        ToipLabError: it does not come back.
    """
    machine.wait_for_login()
    machine.succeed("systemctl is-system-running --wait || true", timeout=WITHIN_SECONDS)
    machine.qemu.qmp.forget_events()
    machine.shell.start("systemctl reboot")
    machine.qemu.qmp.wait_for_event("RESET", WITHIN_SECONDS)
    return wait_for_sip(name, machine, time.monotonic(), processor_seconds(machine))


def wait_for_sip(name: str, machine: Machine, began: float, used: float) -> Boot:
    """Ask for its SIP server's options (RFC 3261 section 11) until there is an answer.

    Raises:
        ToipLabError: there was none in time.
    """
    forward = forward_named(machine.hardware, "sip")
    deadline = Deadline.within(WITHIN_SECONDS)
    while not answers(forward):
        if deadline.passed:
            raise ToipLabError(f"{name}: no SIP answer within {WITHIN_SECONDS} s of power-on")
    return Boot(name, time.monotonic() - began, processor_seconds(machine) - used)


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


def table(boots: Iterable[Boot]) -> str:
    """The median of each name's boots, and what part of the first one's it is."""
    named: dict[str, list[Boot]] = {}
    for each in boots:
        named.setdefault(each.name, []).append(each)
    medians = {
        name: Boot(
            name,
            statistics.median(b.seconds for b in group),
            statistics.median(b.processor for b in group),
        )
        for name, group in named.items()
    }
    first = next(iter(medians.values()))
    return "\n".join(
        f"{b.name:20} {b.seconds:6.1f} s ({b.seconds / first.seconds:4.2f})"
        f"  processor {b.processor:6.1f} s ({b.processor / first.processor:4.2f})"
        for b in medians.values()
    )


def main(arguments: Sequence[str]) -> None:
    """Boot both in turns, and print every boot and the medians."""
    host.require("sipsak", "qemu-system-x86_64")
    rounds = int(arguments[0]) if arguments else ROUNDS
    project, progress = Project(), Progress()
    ova = newest_ova(project.dist)
    candidate = read_candidate(ova)
    folder = project.build / "bench" / "boot"
    disk = folder / "plain.raw"
    if not disk.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        release = by_codename(candidate.manifest.release)
        request = Request.read(host.PROJECT / candidate.manifest.lab.file, release=release.codename)
        log = folder / "plain.log"
        packages = plan(request, progress, log=log, releases=(release,)).package_set
        plain.make_disk(packages, disk, log=log, progress=progress)
    boots = []
    for number in range(1, rounds + 1):
        with Machine(
            candidate.ova.hardware, Disk(str(disk.resolve()), "raw"), folder, accelerator="tcg"
        ) as machine:
            boots.append(boot("plain", machine))
            progress.note(f"{number}: {boots[-1]}")
        with candidate.machine(folder, accelerator="tcg", progress=progress) as machine:
            boots.append(boot("toip-lab", machine))
            progress.note(f"{number}: {boots[-1]}")
            boots.append(reboot("toip-lab, again", machine))
            progress.note(f"{number}: {boots[-1]}")
    sys.stdout.write(f"\nmedians of {rounds}\n{table(boots)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
