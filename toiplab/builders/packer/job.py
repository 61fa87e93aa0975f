"""One run of Packer: what it is given, how it is watched, and whether it made what was planned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from toiplab.builders.contract import Request
from toiplab.builders.packages import PackageSet
from toiplab.builders.packer import boot, failure, virtualbox
from toiplab.builders.packer.client import Packer
from toiplab.builders.packer.installer import InstallerLog, Receiver
from toiplab.builders.packer.watch import Phases, Watch
from toiplab.builders.packer.workspace import Workspace
from toiplab.builders.plan import Plan, fresh_log
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.progress import Progress
from toiplab.releases import InstallerIso

TEMPLATE = PROJECT / "packer" / "toip-lab.pkr.hcl"
SHOWN_DIFFERENCES = 6


@dataclass(frozen=True)
class Pace:
    """How fast a machine is: Packer's durations for the boot menu, the keys, the installation.

    Without a key the menu of a netinst image starts the installer with speech after thirty
    seconds: after ``boot_wait`` one is pressed every five seconds, ``keys_meanwhile`` times, before
    the menu is left for the boot command. Keys must not come faster than they are read.
    """

    boot_wait: str
    keys_meanwhile: int
    key_interval: str
    ssh_timeout: str
    first_word_seconds: float


NATIVE = Pace("8s", 0, "20ms", "1h", first_word_seconds=300)
EMULATED = Pace("5s", 6, "150ms", "5h", first_word_seconds=1800)


@dataclass(frozen=True)
class Job:
    """One build under way."""

    request: Request
    planned: Plan
    packer: Packer
    image: InstallerIso
    work: Workspace
    progress: Progress
    priority: boot.Priority

    @property
    def log(self) -> Path:
        """Packer's own log."""
        return self.request.folder / "packer.log"

    def run(self, source: str, pace: Pace, values: dict[str, object]) -> None:
        """Run Packer to its end; ``values`` are the variables that the source decides.

        Raises:
            SilentError: the installer did not begin.
            ToipLabError: Packer, the installer or the packages failed.
        """
        debug = fresh_log(self.request, "packer-debug.log")
        installer = InstallerLog(fresh_log(self.request, "installer.log"))
        with Receiver() as receiver:
            self.work.set_variables(self._variables(pace, receiver.port) | values)
            self.packer.validate(TEMPLATE, source, self.work.variables, self.log)
            with Phases(self.progress) as phases:
                phases.enter("Start Packer")
                watch = Watch(
                    phases, installer, log=self.log, first_word_seconds=pace.first_word_seconds
                )
                status = self.packer.build(
                    TEMPLATE,
                    source,
                    self.work.variables,
                    log=self.log,
                    env={
                        "PACKER_CACHE_DIR": str(self.work.folder / "cache"),
                        "PACKER_LOG": "1",
                        "PACKER_LOG_PATH": str(debug.resolve()),
                    },
                    receiver=receiver,
                    watcher=watch,
                )
                if status != 0:
                    said = [*watch.said, *failure.stderr_of_qemu(debug)]
                    raise failure.of_packer(
                        said, status=status, log=self.log, trouble=installer.last_trouble()
                    )
        if installer.asked:
            self.progress.warn(f"the installer asked: {', '.join(installer.asked)}")
        compare(self.work.installed, self.planned.package_set)

    def _variables(self, pace: Pace, log_port: int) -> dict[str, object]:
        """The template's variables, but for those of the workspace and of the source."""
        lab = self.request.lab
        hardware = lab.hardware
        return {
            "name": hardware.name,
            "memory": hardware.memory,
            "cpus": hardware.cpus,
            "disk": lab.machine.disk,
            "lab_network": virtualbox.lab_network(hardware),
            "forwards": [virtualbox.forward_rule(each) for each in hardware.forwards],
            "iso": self.image.url,
            "iso_sha256": self.image.sha256,
            "boot_arguments": boot.arguments(lab, log_port=log_port, priority=self.priority),
            "boot_wait": pace.boot_wait,
            "boot_meanwhile": ["<down><wait5>"] * pace.keys_meanwhile,
            "key_interval": pace.key_interval,
            "ssh_timeout": pace.ssh_timeout,
            "qemuargs": [],
            "vboxmanage": [],
        }


def compare(installed: Path, package_set: PackageSet) -> None:
    """Check that the machine has exactly the packages of the plan.

    Raises:
        ToipLabError: naming those that differ.
    """
    lines = installed.read_text(encoding="utf-8").splitlines()
    found = dict(line.split("=", 1) for line in lines if re.match(r"\S+=\S+$", line))
    wanted = package_set.versions
    differences = [
        f"{name}: {found.get(name, 'none')} instead of {wanted.get(name, 'none')}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    if differences:
        raise ToipLabError(
            f"the machine has other packages than planned ({len(differences)})\n  "
            + "\n  ".join(differences[:SHOWN_DIFFERENCES]),
            hint="the mirror may have changed meanwhile: build again",
        )
