"""Every check fails where it should: recorded answers of a real appliance, turned wrong.

Each fault is one change to what the appliance answers. Exactly the rows named with it go
red, and the message of the first tells what was expected and what was seen.
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.exam import faults_asterisk, faults_network, faults_system
from tests.exam.recording import RecordedGuest
from toiplab.exam import sip, ssh, system
from toiplab.exam.plan import FIRST_EXAM
from toiplab.exam.runner import Outcome, run_check
from toiplab.host import Finished

# Those that look from outside have tests of their own, in test_outside.py and
# test_variants.py.
OUTSIDE = (system.described, system.boot_order, system.dvd_drive, *sip.CHECKS, ssh.banner)
INSIDE = [check for check in FIRST_EXAM if check not in OUTSIDE]


FAULTS = [*faults_system.FAULTS, *faults_network.FAULTS, *faults_asterisk.FAULTS]


@pytest.mark.parametrize("check", INSIDE, ids=lambda check: check.name)
def test_the_recorded_appliance_passes(check, subject):
    result = run_check(subject, check)

    assert (result.outcome, bool(result.told)) == (Outcome.PASS, True), result.told


@pytest.fixture(scope="module")
def asked(recorded, recorded_subject):
    """The commands that each check asks, by the check's name."""
    commands = {}
    for check in INSIDE:
        guest = RecordedGuest(recorded)
        check.run(dataclasses.replace(recorded_subject, guest=guest))
        commands[check.name] = guest.asked
    return commands


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.reds[0]}: {f.new.strip()[:40]}")
def test_a_fault_is_seen_by_its_rows_alone(fault, subject, guest, asked):
    if fault.old:
        turned = guest.turn(fault.command, fault.old, fault.new)
    else:
        turned = guest.answer(fault.command, fault.new)

    # A check that asks none of these commands sees what it saw before.
    results = [run_check(subject, check) for check in INSIDE if asked[check.name] & turned]
    failed = {r.check.name: r.told for r in results if r.outcome is not Outcome.PASS}

    assert set(failed) == set(fault.reds)
    assert fault.message in failed[fault.reds[0]]


def test_every_check_has_a_fault():
    assert {fault.reds[0] for fault in FAULTS} == {check.name for check in INSIDE}


def test_dhcpd_refusing_its_own_file_is_seen(subject, guest):
    guest.answer("dhcpd -t", "/etc/dhcp/dhcpd.conf line 3: semicolon expected.", status=1)
    (check,) = [check for check in INSIDE if check.row == "D2"]

    assert run_check(subject, check).told == "exit status of dhcpd -t: expected 0, saw 1"


def test_english_prompts_under_a_french_name_are_seen(subject, guest, recorded):
    english = next(a.output for c, a in recorded.items() if "sounds/en" in c)
    guest.answer("sounds/fr", english)
    (check,) = [check for check in INSIDE if check.row == "A9"]

    assert "fr prompts that are the English ones: expected nothing, saw pbx-invalid" in (
        run_check(subject, check).told
    )


@pytest.mark.parametrize(
    "output", ["", "Unable to connect to remote asterisk\n", "a: b\n1 2 3 4 5\n"]
)
@pytest.mark.parametrize("check", INSIDE, ids=lambda check: check.name)
def test_a_machine_that_says_nothing_of_use_fails_every_check(
    check, output, subject, guest, recorded
):
    guest.answers = dict.fromkeys(recorded, Finished(1, output))

    assert run_check(subject, check).outcome is Outcome.FAIL
