"""The calls of the deep exam, on the OVA that ships, through its NAT forwards."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager

import pytest

from toiplab.exam import conversations, parking, scripted, transfers, voicemail
from toiplab.exam.handsets import NatPhones
from toiplab.exam.runner import Outcome, run_check
from toiplab.exam.smoke import read_candidate
from toiplab.host import PROJECT
from toiplab.progress import Progress

pytestmark = pytest.mark.calls

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


class SilentPhones:
    """Phones that should speak, and do not."""

    def __init__(self, phones):
        self.phones = phones

    @contextmanager
    def phone(self, number, *, tone, message_light=False):
        with self.phones.phone(number, tone=0, message_light=message_light) as phone:
            phone.tone = tone
            yield phone


def test_a_silent_phone_fails_the_conversation(subject):
    silent = dataclasses.replace(subject, phones=SilentPhones(NatPhones.of(subject)))
    result = run_check(silent, conversations.conversation)

    assert result.outcome is Outcome.FAIL
    assert "5001: expected to hear 5002 (620 Hz), heard silence" in result.told


def test_a_wrong_secret_fails_the_conversation(subject):
    secrets = subject.secrets.model_copy(
        update={"extensions": {**subject.secrets.extensions, "5001": "wrong"}}
    )
    result = run_check(dataclasses.replace(subject, secrets=secrets), conversations.conversation)

    assert result.outcome is Outcome.FAIL
    assert result.told == "5001 is not registered: 403 Forbidden"


@pytest.mark.parametrize(
    ("file", "change", "check", "told"),
    [
        pytest.param(
            "extensions.conf",
            "s/,20,tT/,12,tT/",
            conversations.unanswered,
            "expected to ring for 20 s, rang for 12",
            id="rings for 12 s",
        ),
        pytest.param(
            "sip.conf",
            "s/^language=fr/language=en/",
            conversations.unanswered,
            "expected the prompt vm-theperson",
            id="speaks English",
        ),
        pytest.param(
            "extensions.conf",
            "s/,20,tT/,20/",
            transfers.blind,
            "5002 is not rid of its call",
            id="no transfer options",
        ),
        pytest.param(
            "res_parking.conf",
            "s/^parkingtime.*/parkingtime => 10/",
            parking.comes_back,
            "expected the call back after 45 s, it rang after",
            id="parks for 10 s",
        ),
        pytest.param(
            "sip.conf",
            "s/^videosupport=yes/videosupport=no/",
            scripted.agreed,
            "video: expected H264, saw nothing",
            id="no video",
        ),
        pytest.param(
            "sip.conf",
            "s/^allowguest=no/allowguest=yes/",
            scripted.refused,
            "a guest: expected 403 Forbidden",
            id="lets guests in",
        ),
    ],
)
def test_a_broken_appliance_fails_the_check(subject, file, change, check, told):
    subject.act(
        "cp -a /etc/asterisk /etc/asterisk.kept; "
        f"sed -i '{change}' /etc/asterisk/{file}; asterisk -rx 'core reload'"
    )
    try:
        result = run_check(subject, check)
    finally:
        subject.act(
            "rm -r /etc/asterisk; mv /etc/asterisk.kept /etc/asterisk; asterisk -rx 'core reload'"
        )

    assert result.outcome is Outcome.FAIL
    assert told in result.told
