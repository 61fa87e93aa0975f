"""``exam.json``: which file an exam was of, and how it ended; a release asks for it.

It is written last, when the report is there, so that an exam that was interrupted leaves none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from toiplab import files, manifest
from toiplab.errors import ToipLabError
from toiplab.exam.candidate import Candidate
from toiplab.exam.runner import Outcome, Report
from toiplab.faults import first_fault


class ExamRecord(BaseModel):
    """An exam of an OVA: the file by its hash, and the number of checks by their end.

    ``whole``: with phones in the lab network and after a reboot, no row left out. ``began``
    is in UTC; ``accelerator`` names what the machine ran on. The last three are
    of the manifest beside the OVA, of the report, and of its JUnit file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ova: str
    ova_sha256: str
    whole: bool
    began: datetime
    seconds: float
    accelerator: str
    passed: int
    failed: int
    errors: int
    skipped: int
    manifest_sha256: str
    page_sha256: str
    junit_sha256: str

    @property
    def counts(self) -> str:
        """How the checks ended, in words."""
        return (
            f"{self.passed} passed, {self.failed} failed, {self.errors} could not look, "
            f"{self.skipped} skipped"
        )


def of(
    report: Report,
    *,
    candidate: Candidate,
    whole: bool,
    began: float,
    seconds: float,
    accelerator: str,
    page: Path,
    junit: Path,
) -> ExamRecord:
    """The record of an exam whose report is written; ``began`` is in seconds since 1970.

    The candidate has been verified: its OVA is the one its manifest speaks of.
    """
    return ExamRecord(
        ova=candidate.ova.path.name,
        ova_sha256=candidate.manifest.ova_sha256,
        whole=whole,
        began=datetime.fromtimestamp(int(began), UTC),
        seconds=round(seconds, 1),
        accelerator=accelerator,
        passed=len(report.of(Outcome.PASS)),
        failed=len(report.of(Outcome.FAIL)),
        errors=len(report.of(Outcome.ERROR)),
        skipped=len(report.of(Outcome.SKIP)),
        manifest_sha256=files.sha256(manifest.path_for(candidate.ova.path)),
        page_sha256=files.sha256(page),
        junit_sha256=files.sha256(junit),
    )


def write(record: ExamRecord, path: Path) -> None:
    """Write the record, whole or not at all."""
    files.write(path, record.model_dump_json(indent=1).encode() + b"\n")


def read(path: Path) -> ExamRecord | None:
    """Read the record of the last exam; None where there was none to its end.

    Raises:
        ToipLabError: it is not as an exam wrote it; the message names the place.
    """
    try:
        return ExamRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ToipLabError(
            f"{path}: {first_fault(error)}", hint="examine again: make smoke"
        ) from error
