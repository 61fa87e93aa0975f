"""A whole class on the OVA made for it: thirty phones are switched on, register, and call."""

from __future__ import annotations

import dataclasses

import pytest

from toiplab.exam.candidate import read_candidate
from toiplab.exam.leases import leases
from toiplab.exam.places import LabPhones
from toiplab.exam.runner import Outcome, run_check
from toiplab.exam.scripted import all_register, load
from toiplab.exam.subject import MachineGuest
from toiplab.host import PROJECT
from toiplab.machine.lan.network import LabNetwork
from toiplab.progress import Progress

pytestmark = pytest.mark.boot

LOGS = PROJECT / "build/classe"


@pytest.fixture(scope="module")
def subject(class_ova):
    candidate = read_candidate(class_ova)
    with (
        LabNetwork.open() as lan,
        candidate.machine(LOGS, accelerator="auto", progress=Progress(), lan=lan) as machine,
    ):
        machine.boot()
        machine.wait_for_unit("asterisk.service", within=120)
        machine.wait_for_unit("isc-dhcp-server.service", within=120)
        yield dataclasses.replace(
            candidate.subject(MachineGuest(machine), LOGS),
            phones=LabPhones(lan, candidate.lab, candidate.secrets),
            lab_capture=LOGS / "lab.pcap",
        )


@pytest.mark.parametrize(
    ("check", "told"),
    [(leases, "30 phones, "), (all_register, "30 phones in "), (load, "10 calls of ")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_class(check, told, subject):
    with subject.phones.lan.capture(subject.lab_capture):
        result = run_check(subject, check)
    print(f"{result.seconds:.1f} s: {result.told}")

    assert result.outcome is Outcome.PASS, result.told
    assert result.told.startswith(told)
