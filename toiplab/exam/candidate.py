"""Who comes to the exam: an OVA, with the lab, the secrets and the manifest it was built from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toiplab import files, manifest, releases
from toiplab.errors import ToipLabError
from toiplab.exam.subject import Guest, Subject
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
from toiplab.manifest import Manifest
from toiplab.progress import Progress


@dataclass(frozen=True)
class Candidate:
    """An OVA, with the lab, the secrets and the manifest it was built from."""

    ova: Ova
    lab: Lab
    secrets: Secrets
    manifest: Manifest

    def verify(self) -> None:
        """Check the OVA to its last byte, and that the manifest beside it is this file's.

        Raises:
            ToipLabError: naming the file, the place and what is wrong there.
        """
        self.ova.verify()
        manifest.verify(self.manifest, self.ova.path)

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

    def subject(self, guest: Guest, logs: Path) -> Subject:
        """The appliance that runs, ready to be examined."""
        return Subject(
            guest=guest,
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
        raise ToipLabError(f"{folder}: no OVA", hint="build one: make ova")
    return found[-1]


def read_candidate(path: Path, lab_file: Path | None = None) -> Candidate:
    """An OVA with what belongs to it; ``lab_file`` stands in for the one its manifest names.

    Raises:
        ToipLabError: the OVA or what belongs to it cannot be read, or the lab file is no
            longer the one the OVA was built from.
    """
    if not path.is_file():
        raise ToipLabError(
            f"{path}: no such file", hint="the builds are in dist/; make ova makes one"
        )
    ova = open_ova(path)
    built = manifest.read(path)
    if built.ova != path.name or built.ova_bytes != path.stat().st_size:
        ova.verify()  # what is broken says more
        manifest.verify(built, path)
    lab_path = lab_file or PROJECT / built.lab.file
    lab = load(lab_path)
    if files.sha256(lab_path) != built.lab.sha256:
        if lab.name != built.lab.name:
            raise ToipLabError(
                f"{lab_path}: is lab {lab.name}, and {path.name} was built from {built.lab.file}",
                hint="leave --lab out, or name an OVA of that lab with --ova",
            )
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
