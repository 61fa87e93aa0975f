"""``invoke smoke``: the OVA that ships is booted and examined, restarted and examined again."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toiplab import host, manifest, releases
from toiplab.errors import ToipLabError
from toiplab.exam import junit
from toiplab.exam.first import FIRST_EXAM
from toiplab.exam.registry import Check
from toiplab.exam.runner import Report, Result, missed, print_summary, run_exam
from toiplab.exam.ssh import identity
from toiplab.exam.subject import MachineGuest, Subject
from toiplab.host import PROJECT
from toiplab.image.ova import Ova, open_ova
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.machine.accelerator import Choice, KvmMemory
from toiplab.machine.commandline import Lan
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk
from toiplab.machine.shell import Account
from toiplab.machine.waiting import GuestError
from toiplab.manifest import Manifest
from toiplab.progress import Progress

FIRST_BOOT, REBOOT = "first boot", "after a reboot"


@dataclass(frozen=True)
class Candidate:
    """An OVA, with the lab, the secrets and the manifest it was built from."""

    ova: Ova
    lab: Lab
    secrets: Secrets
    manifest: Manifest

    def machine(
        self, logs: Path, *, accelerator: Choice, progress: Progress, lan: Lan | None = None
    ) -> Machine:
        """The machine its OVF describes, on the very disk that ships, plugged into ``lan``."""
        return Machine(
            self.ova.hardware,
            Disk(self.ova.backing(), "vmdk"),
            logs,
            Account(self.lab.administrator.login, self.secrets.administrator),
            accelerator=accelerator,
            kvm_memory=KvmMemory(logs.parent / "kvm-fails"),
            lan=lan,
            progress=progress,
        )

    def subject(self, machine: Machine, logs: Path) -> Subject:
        """The booted machine, ready to be examined."""
        return Subject(
            guest=MachineGuest(machine),
            lab=self.lab,
            secrets=self.secrets,
            release=releases.by_codename(self.manifest.release),
            manifest=self.manifest,
            hardware=self.ova.hardware,
            logs=logs,
        )


def newest_ova(folder: Path) -> Path:
    """The OVA that was built last.

    Raises:
        ToipLabError: there is none.
    """
    found = sorted(folder.glob("*.ova"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ToipLabError(f"{folder}: no OVA to boot", hint="build one: make ova")
    return found[-1]


def read_candidate(path: Path, lab_file: Path | None = None) -> Candidate:
    """An OVA with what belongs to it; ``lab_file`` stands in for the one its manifest names.

    Raises:
        ToipLabError: the OVA or what belongs to it cannot be read, or the lab file is no
            longer the one the OVA was built from.
    """
    ova = open_ova(path)
    built = manifest.read(path)
    if built.ova != path.name or built.ova_bytes != path.stat().st_size:
        raise ToipLabError(
            f"{manifest.path_for(path)}: speaks of another file ({built.ova}, "
            f"{built.ova_bytes} bytes)",
            hint="build again: make ova",
        )
    lab_path = lab_file or PROJECT / built.lab.file
    lab = load(lab_path)
    if hashlib.sha256(lab_path.read_bytes()).hexdigest() != built.lab.sha256:
        raise ToipLabError(
            f"{lab_path}: not as it was when {path.name} was built",
            hint="build again (make ova), or name that lab file with --lab",
        )
    kept = secrets.path_for(lab_path)
    if not kept.exists():
        raise ToipLabError(
            f"{kept}: absent, so nobody can log in to {path.name}",
            hint="put it back from where the OVA was built, or build again: make ova",
        )
    return Candidate(ova, lab, secrets.for_lab(lab, lab_path), built)


def smoke(
    ova: Path,
    *,
    logs: Path,
    lab_file: Path | None = None,
    checks: Sequence[Check] = FIRST_EXAM,
    accelerator: Choice = "auto",
    progress: Progress | None = None,
) -> int:
    """Examine an OVA after its first boot and after a reboot.

    Writes ``junit.xml`` beside the logs; one of an exam before does not outlive the call.
    Returns the exit status: 0 all passed, 1 a check failed, 2 the exam could not run to its
    end.

    Raises:
        ToipLabError: the exam cannot begin.
    """
    progress = progress or Progress()
    for result in (logs / "junit.xml", logs / "sipsak.log"):
        result.unlink(missing_ok=True)
    host.require("sipsak", "qemu-system-x86_64", "qemu-img")
    candidate = read_candidate(ova, lab_file)
    with progress.step(f"Verify {ova.name}"):
        candidate.ova.verify()
    logs.mkdir(parents=True, exist_ok=True)
    with candidate.machine(logs, accelerator=accelerator, progress=progress) as machine:
        subject = candidate.subject(machine, logs)
        first = first_boot(machine, subject, checks, progress)
        again = after_reboot(machine, subject, checks, progress)
    report = Report((*first, *again))
    junit.write(report, logs / "junit.xml")
    print_summary(report, progress)
    progress.note(f"JUnit: {logs / 'junit.xml'}; serial console: {machine.serial_log}")
    return report.status


def first_boot(
    machine: Machine, subject: Subject, checks: Sequence[Check], progress: Progress
) -> list[Result]:
    """Boot, and run the checks; what cannot be looked at is an error."""
    try:
        with progress.step("Boot"):
            machine.boot()
    except GuestError as error:
        return list(missed(checks, progress, part=FIRST_BOOT, why=str(error)))
    with progress.step(f"Exam: {FIRST_BOOT}"):
        return list(run_exam(subject, checks, progress, part=FIRST_BOOT))


def after_reboot(
    machine: Machine, subject: Subject, checks: Sequence[Check], progress: Progress
) -> list[Result]:
    """Reboot, and run the checks once more on the machine that must still be the same one."""
    try:
        with progress.step("Reboot"):
            subject.act("true")  # of a machine that has ended, no restart would ever be seen
            again = dataclasses.replace(subject, known_as=identity(subject))
            machine.reboot()
    except GuestError as error:
        return list(missed(checks, progress, part=REBOOT, why=str(error)))
    with progress.step(f"Exam: {REBOOT}"):
        return list(run_exam(again, checks, progress, part=REBOOT))
