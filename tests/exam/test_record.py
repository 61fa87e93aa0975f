"""``exam.json``: what an exam leaves for a release to read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import small_ova
from toiplab import files
from toiplab.errors import ToipLabError
from toiplab.exam import record
from toiplab.exam.candidate import read_candidate
from toiplab.exam.plan import FIRST_EXAM, Plan
from toiplab.exam.record import ExamRecord
from toiplab.exam.results import Results
from toiplab.exam.runner import Outcome, Report, Result
from toiplab.exam.smoke import Options
from toiplab.host import PROJECT
from toiplab.lab import secrets
from toiplab.lab.load import load

BEGAN = 1_795_856_400.7


def ended(outcome: Outcome) -> Result:
    return Result("first boot", FIRST_EXAM[0], outcome, "", 0.1)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(tmp_path / "report")
    made.folder.mkdir()
    made.page.write_text("page")
    made.junit.write_text("junit")
    lab_file = Path(shutil.copy(PROJECT / "labs/isi.yml", tmp_path))
    secrets.for_lab(load(lab_file), lab_file)
    small_ova.make(tmp_path / "toip.ova", lab_file)
    return made


def recorded(results: Results, *outcomes: Outcome) -> ExamRecord:
    written = record.of(
        Report(tuple(map(ended, outcomes))),
        candidate=read_candidate(results.folder.with_name("toip.ova")),
        whole=True,
        began=BEGAN,
        seconds=12.34,
        accelerator="TCG",
        page=results.page,
        junit=results.junit,
    )
    record.write(written, results.record)
    return written


def test_it_is_read_as_it_was_written(results: Results) -> None:
    written = recorded(results, *Outcome, Outcome.PASS)

    read = record.read(results.record)
    assert read == written
    assert read.counts == "2 passed, 1 failed, 1 could not look, 1 skipped"
    assert (read.ova, read.page_sha256) == ("toip.ova", files.sha256(results.page))
    beside = results.folder.with_name("toip.manifest.json")
    assert read.manifest_sha256 == files.sha256(beside)
    assert read.began.isoformat() == "2026-11-28T09:00:00+00:00"


def test_an_exam_that_has_begun_leaves_none_of_the_one_before(results: Results) -> None:
    recorded(results, Outcome.PASS)

    results.clear()

    assert record.read(results.record) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        ('{"ova": "x"}', "ova_sha256: Field required"),
    ],
)
def test_a_damaged_one_is_named_with_the_place(
    results: Results, content: str, message: str
) -> None:
    results.record.write_text(content)

    with pytest.raises(ToipLabError) as error:
        record.read(results.record)

    assert str(error.value) == f"{results.record}: {message}\n  examine again: make smoke"


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        (Options(), True),
        (Options(plan=Plan().quick()), False),
        (Options(plan=Plan().only(["A5"])), False),
        (Options(nat_only=True), False),
    ],
)
def test_what_a_whole_exam_is(options: Options, whole: bool) -> None:
    assert options.whole is whole
