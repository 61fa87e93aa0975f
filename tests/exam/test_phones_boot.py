"""The exam with phones on the OVA that ships: all is well; and each thing that is wrong is seen.

One machine is booted, with a lab network. Each fault changes something in it, or in how it
is used, and is undone. Exactly the checks named with it go red, of all that were played.
"""

from __future__ import annotations

import dataclasses
import io
import shlex
from contextlib import contextmanager

import pytest
from rich.console import Console

from tests.exam.faults_phones import FAULTS
from toiplab.exam.plan import WITH_PHONES
from toiplab.exam.runner import Outcome
from toiplab.exam.subject import Memory
from toiplab.exam.together import run_together
from toiplab.progress import Progress

KEPT = "/root/before-the-fault"


@pytest.fixture(scope="module")
def subject(appliance):
    return appliance


@contextmanager
def changed(subject, change):
    """The appliance with something changed in it, which is undone afterwards."""
    files = shlex.join(change.files)
    try:
        done = subject.act(
            f"mkdir {KEPT} && for file in {files}; do cp -a --parents $file {KEPT} || exit; done; "
            f"{change.command}; for file in {files}; do "
            f"! cmp -s $file {KEPT}$file || {{ echo $file: unchanged; exit 1; }}; done; "
            f"{change.apply}"
        )
        assert done.status == 0, done.output
        yield
    finally:
        undone = subject.act(
            f"for file in {files}; do cp -a {KEPT}$file $file; done; rm -rf {KEPT}; "
            f"{change.undo or change.apply}"
        )
        assert undone.status == 0, undone.output


def played(subject, checks):
    """Those that did not pass, by name, with what they said; and all in one text."""
    console = Console(file=io.StringIO(), width=1000)
    results = list(run_together(subject, checks, Progress(console), part="with phones"))
    print(console.file.getvalue())
    assert {result.check.name for result in results} == {check.name for check in checks}
    return {r.check.name: (r.outcome, r.told) for r in results if r.outcome is not Outcome.PASS}


@pytest.mark.boot
def test_all_is_well(subject):
    assert played(subject, WITH_PHONES) == {}


@pytest.mark.boot
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_seen_by_its_checks_alone(fault, subject):
    # What was read of the appliance's own files may be what is changed.
    fresh = dataclasses.replace(subject, files=Memory())
    with changed(fresh, fault.change):
        failed = played(fault.scenario(fresh), fault.played)

    assert set(failed) == {check.name for check in fault.reds}
    assert {outcome for outcome, _ in failed.values()} == {Outcome.FAIL}
    assert fault.message in failed[fault.reds[0].name][1]


def test_every_check_has_a_fault():
    assert {fault.reds[0].name for fault in FAULTS} == {check.name for check in WITH_PHONES}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_plays_what_it_turns_red(fault):
    assert set(fault.reds) <= set(fault.played)
