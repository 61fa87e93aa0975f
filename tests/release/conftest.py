"""A checkout whose OVA may be released: a test takes one thing away."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import small_ova
from toiplab import __version__, files, manifest
from toiplab.builders.contract import Project, Request
from toiplab.exam import record
from toiplab.exam.record import ExamRecord
from toiplab.exam.results import Results
from toiplab.host import PROJECT
from toiplab.progress import Progress
from toiplab.release import gate
from toiplab.release.gate import Proven

CHANGELOG = f"""# Changelog

## [Unreleased]

- What comes next.

## [{__version__}] - 2026-11-28

- Phones that ring.

[{__version__}]: https://example.org/
"""


@dataclass(frozen=True)
class Ready:
    """A checkout with a lab, an OVA built from it, and a whole exam of that OVA."""

    project: Project

    @property
    def lab_file(self) -> Path:
        return self.project.top / "labs" / "isi.yml"

    @property
    def ova(self) -> Path:
        return self.project.dist / "toip.ova"

    @property
    def results(self) -> Results:
        return Results(self.project.build / "report")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
        command = ["git", "-C", self.project.top, *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def change_manifest(self, **changes: object) -> None:
        changed = manifest.read(self.ova).model_copy(update=changes)
        manifest.write(changed, self.ova)

    def examined(self, **changes: object) -> None:
        """Write the record of an exam as it would have to be, but for the changes."""
        written = ExamRecord(
            ova=self.ova.name,
            ova_sha256=manifest.read(self.ova).ova_sha256,
            whole=True,
            began=datetime(2026, 11, 28, 9, 0, tzinfo=UTC),
            seconds=240.0,
            accelerator="TCG",
            passed=103,
            failed=0,
            errors=0,
            skipped=0,
            manifest_sha256=files.sha256(manifest.path_for(self.ova)),
            page_sha256=files.sha256(self.results.page),
            junit_sha256=files.sha256(self.results.junit),
        )
        record.write(written.model_copy(update=changes), self.results.record)

    def check(self, *, with_secrets: bool = True, tagged: bool = False) -> Proven:
        return gate.check(
            self.ova, self.project, with_secrets=with_secrets, tagged=tagged, progress=Progress()
        )


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    made = Ready(Project(tmp_path / "checkout"))
    made.lab_file.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "labs" / "isi.yml", made.lab_file)
    shutil.copy(PROJECT / ".gitignore", made.project.top)
    (made.project.top / "CHANGELOG.md").write_text(CHANGELOG)
    made.git("init", "--quiet")
    made.git("add", ".")
    made.git("commit", "--quiet", "--message", "A lab")
    made.project.dist.mkdir()
    small_ova.make(made.ova, made.lab_file)
    request = Request.read(made.lab_file, project=made.project)
    made.change_manifest(inputs_sha256=request.digest(), ova_sha256=files.sha256(made.ova))
    made.results.folder.mkdir(parents=True)
    made.results.page.write_text("<p>103 checks")
    made.results.junit.write_text("<testsuites/>")
    made.examined()
    return made
