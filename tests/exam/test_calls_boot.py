"""The calls of the deep exam, on the OVA that ships, through its NAT forwards."""

from __future__ import annotations

import dataclasses

import pytest

from toiplab.exam import conversations, parking, scripted, transfers, voicemail
from toiplab.exam.handsets import NatPhones
from toiplab.exam.runner import Outcome, run_check
from toiplab.exam.smoke import read_candidate
from toiplab.host import PROJECT
from toiplab.progress import Progress

pytestmark = pytest.mark.boot

LOGS = PROJECT / "build/calls"
CHECKS = (
    *conversations.CHECKS,
    *voicemail.CHECKS,
    *parking.CHECKS,
    *transfers.CHECKS,
    *scripted.CHECKS,
)


@pytest.fixture(scope="module")
def subject(ova):
    candidate = read_candidate(ova)
    with candidate.machine(LOGS, accelerator="auto", progress=Progress()) as machine:
        machine.boot()
        machine.wait_for_unit("asterisk.service")
        machine.wait_until_succeeds("asterisk -rx 'core waitfullybooted'")
        yield candidate.subject(machine, LOGS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_appliance(subject, check):
    result = run_check(subject, check)

    assert result.outcome is Outcome.PASS, result.told
    print(result.told)


def test_a_silent_phone_fails_the_conversation(subject, monkeypatch):
    speaking = NatPhones.phone

    def silent(phones, number, *, tone, message_light=False):
        phone = speaking(phones, number, tone=0)
        phone.tone = tone
        return phone

    monkeypatch.setattr(NatPhones, "phone", silent)
    result = run_check(subject, conversations.conversation)

    assert result.outcome is Outcome.FAIL
    assert "expected to hear 5002" in result.told


def test_a_wrong_secret_fails_the_conversation(subject):
    secrets = subject.secrets.model_copy(
        update={"extensions": {**subject.secrets.extensions, "5001": "wrong"}}
    )
    result = run_check(dataclasses.replace(subject, secrets=secrets), conversations.conversation)

    assert result.outcome is Outcome.FAIL
    assert result.told == "5001 is not registered: 403 Forbidden"


def test_another_ringing_time_fails_its_check_only(subject):
    plan = "/etc/asterisk/extensions.conf"
    subject.act(f"sed -i.kept 's/,20,tT/,12,tT/' {plan}; asterisk -rx 'dialplan reload'")
    try:
        result = run_check(subject, conversations.unanswered)
    finally:
        subject.act(f"mv {plan}.kept {plan}; asterisk -rx 'dialplan reload'")

    assert result.outcome is Outcome.FAIL
    assert "expected to ring for 20 s, rang for 12" in result.told
