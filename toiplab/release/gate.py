"""What must be true before an OVA is released: each rule refuses with what would mend it.

The OVA comes first: whatever else is wrong, one that is broken has to be built again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toiplab import __version__, files, manifest
from toiplab.builders.contract import Project, Request
from toiplab.errors import ToipLabError
from toiplab.exam import record
from toiplab.exam.candidate import Candidate, read_candidate
from toiplab.exam.record import ExamRecord
from toiplab.exam.results import Results
from toiplab.progress import Progress
from toiplab.release import notes
from toiplab.release.git import Checkout
from toiplab.release.notes import Section

ASSET_LIMIT = 2 << 30  # GitHub: "each file must be under 2 GiB"


@dataclass(frozen=True)
class Proven:
    """An OVA that may be released, with all that speaks for it."""

    candidate: Candidate
    exam: ExamRecord
    results: Results
    notes: Section
    commit: str
    version: str = __version__

    @property
    def path(self) -> Path:
        """The OVA."""
        return self.candidate.ova.path


def check(
    ova: Path, project: Project, *, with_secrets: bool, tagged: bool, progress: Progress
) -> Proven:
    """Check all that a release claims.

    With ``tagged`` the commit must carry the version's tag, and the changelog its section.

    Raises:
        ToipLabError: one thing is not so; the message says what would make it so.
    """
    check_size(ova)
    candidate = read_candidate(ova)
    with progress.step(f"Verify {ova.name}"):
        candidate.verify()
    checkout = Checkout(project.top)
    commit = checkout.commit()
    checkout.check_clean()
    if tagged:
        checkout.check_tag(f"v{__version__}")
    section = notes.section(project.top / "CHANGELOG.md", __version__, released=tagged)
    check_fresh(candidate, project)
    results = Results(project.build / "report")
    exam = check_exam(results, candidate)
    check_secrets(candidate, with_secrets=with_secrets)
    return Proven(candidate, exam, results, section, commit)


def check_size(asset: Path) -> None:
    """Refuse what GitHub would refuse at the end of a long upload.

    https://docs.github.com/en/repositories/releasing-projects-on-github/about-releases
    """
    if asset.exists() and asset.stat().st_size >= ASSET_LIMIT:
        raise ToipLabError(
            f"{asset}: {asset.stat().st_size} bytes; a release takes files of less than 2 GiB "
            f"({ASSET_LIMIT})",
            hint="a smaller OVA: invoke build-ova --compress best, or a lab without a desktop",
        )


def check_fresh(candidate: Candidate, project: Project) -> None:
    """Refuse an OVA that this commit does not build."""
    path = candidate.ova.path
    lab_file = project.top / candidate.manifest.lab.file
    if Request.read(lab_file, project=project).digest() != candidate.manifest.inputs_sha256:
        raise ToipLabError(
            f"{path}: not what this checkout builds: the lab, its secrets or the recipe have "
            "changed since",
            hint="build and examine again: make ova, then make smoke",
        )


def check_exam(results: Results, candidate: Candidate) -> ExamRecord:
    """Refuse an OVA that no whole exam has passed, or whose papers were touched since."""
    built = candidate.manifest
    exam, again = record.read(results.record), f"examine it: make smoke OVA=dist/{built.ova}"
    if exam is None:
        raise ToipLabError(f"{results.record}: there was no exam of {built.ova}", hint=again)
    if exam.ova_sha256 != built.ova_sha256:
        raise ToipLabError(
            f"{results.record}: the last exam was of another file: {exam.ova}, SHA-256 "
            f"{exam.ova_sha256[:12]}…, not {built.ova_sha256[:12]}…",
            hint=again,
        )
    if exam.failed or exam.errors or not exam.passed:
        raise ToipLabError(
            f"{results.record}: {built.ova} did not pass its exam: {exam.counts}",
            hint=f"the report says why: {results.page}",
        )
    if not exam.whole:
        raise ToipLabError(
            f"{results.record}: the last exam of {built.ova} left something out",
            hint=f"{again}, without --quick, --only and --nat-only",
        )
    for path, digest in (
        (manifest.path_for(candidate.ova.path), exam.manifest_sha256),
        (results.page, exam.page_sha256),
        (results.junit, exam.junit_sha256),
    ):
        if not path.exists() or files.sha256(path) != digest:
            raise ToipLabError(f"{path}: not as it was after the exam", hint=again)
    return exam


def check_secrets(candidate: Candidate, *, with_secrets: bool) -> None:
    """Refuse to publish secrets unasked: the OVA holds those of every phone, and of the account.

    A lab file that gives them itself has none.
    """
    if with_secrets or not (kept := generated(candidate)):
        return
    raise ToipLabError(
        f"{candidate.ova.path}: holds secrets of its lab ({kept}): who has the release has them",
        hint="--with-secrets publishes them; for one class, or a lab made for the occasion",
    )


def generated(candidate: Candidate) -> str:
    """The secrets that a lab's OVA holds and its lab file does not give, in words; or empty."""
    lab = candidate.lab
    kinds = (
        ("the administrator's password", lab.administrator.password is None),
        ("the phones' secrets", any(ext.secret is None for ext in lab.extensions)),
        ("the mailboxes' PINs", any(ext.pin is None for ext in lab.extensions)),
    )
    return ", ".join(kind for kind, is_generated in kinds if is_generated)
