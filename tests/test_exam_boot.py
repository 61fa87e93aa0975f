"""The first exam on the OVA that ships, booted once and then restarted.

The checks are those of ``invoke smoke``; here each is a test. With EXAM_RECORD=1 in the
environment the answers are kept in tests/exam/recorded.txt, which the tests of the
checks' failures start from.
"""

from __future__ import annotations

import dataclasses
import os

import pytest

from tests.exam.recording import Recorder
from toiplab import compare
from toiplab.exam.candidate import read_candidate
from toiplab.exam.plan import FIRST_EXAM
from toiplab.exam.runner import Outcome, run_check
from toiplab.exam.smoke import FIRST_BOOT, REBOOT
from toiplab.exam.ssh import identity
from toiplab.exam.subject import MachineGuest
from toiplab.exam.system import settle
from toiplab.host import PROJECT
from toiplab.progress import Progress

pytestmark = pytest.mark.boot

LOGS = PROJECT / "build/smoke"


@pytest.fixture(scope="module")
def candidate(ova):
    return read_candidate(ova)


@pytest.fixture(scope="module")
def machine(candidate):
    with candidate.machine(LOGS, accelerator="auto", progress=Progress()) as machine:
        machine.boot()
        yield machine


@pytest.fixture(scope="module", params=[FIRST_BOOT, REBOOT])
def subject(request, candidate, machine):
    subject = candidate.subject(MachineGuest(machine), LOGS)
    if request.param == REBOOT:
        known_as = identity(subject)
        machine.reboot()
        subject = dataclasses.replace(subject, known_as=known_as)
    recorder = Recorder(subject.guest)
    subject = dataclasses.replace(subject, guest=recorder)
    settle(subject)
    yield subject
    if os.environ.get("EXAM_RECORD"):
        recorder.write()


@pytest.mark.parametrize("check", FIRST_EXAM, ids=lambda check: check.name)
def test_the_appliance(subject, check):
    result = run_check(subject, check)

    assert result.outcome is Outcome.PASS, result.told
    print(result.told)


def test_the_ova_is_whole(candidate):
    candidate.verify()


def test_the_manual_is_there(machine):
    wanted = "ls", "asterisk", "interfaces", "dhcpd.conf", "sudo", "sshd_config"

    assert len(machine.succeed(f"man -w {' '.join(wanted)}").splitlines()) == len(wanted)


def test_what_compare_asks_is_answered(machine):
    told = compare.ask(machine)

    assert told["package"]["asterisk"].endswith(" ii")
    assert told["file"]["/etc/asterisk/sip.conf"].startswith("-rw-r----- asterisk:asterisk ")
    assert told["unit"]["asterisk.service"] == "enabled"
    assert told["account"]["etudiant"].endswith(" P")
    assert "sudo" in told["account"]["etudiant"].split()
    assert told["group"]["asterisk"] == "system"
    assert told["port"]["udp 0.0.0.0:5060"] == "listens"
    assert set(told) == set(compare.QUESTIONS)
