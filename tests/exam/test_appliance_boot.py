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
from toiplab.exam.candidate import read_candidate
from toiplab.exam.logins import logins
from toiplab.exam.places import LabPhones
from toiplab.exam.plan import WITH_PHONES
from toiplab.exam.results import Results
from toiplab.exam.runner import Outcome, run_check
from toiplab.exam.smoke import NAT_ADAPTER
from toiplab.exam.ssh_guest import SshGuest
from toiplab.exam.subject import MachineGuest, Memory
from toiplab.exam.together import run_together
from toiplab.host import PROJECT
from toiplab.machine.lan.network import LabNetwork
from toiplab.machine.ports import reached_at
from toiplab.machine.shell import Account
from toiplab.progress import Progress

KEPT = "/root/before-the-fault"
# chan_sip keeps a call's ports for half a minute; these tests make more calls than any class.
PORTS_FREE = (
    "while [ $(ss -Hlun 'sport >= :10000 and sport <= :10079' | wc -l) -gt 24 ] "
    "&& [ $SECONDS -lt 60 ]; do sleep 0.5; done"
)
ACCOUNTS = (
    "find /root/.ssh ~etudiant/.ssh -printf '%p %y %m %u %g %s\\n'; getent shadow root etudiant"
)
KEEP = "cp -a /etc/ssh/sshd_config /etc/ssh/sshd_config.kept; cp -a /etc/shadow /etc/shadow.kept"
PUT_BACK = (
    "mv /etc/ssh/sshd_config.kept /etc/ssh/sshd_config; mv /etc/shadow.kept /etc/shadow;"
    " systemctl restart ssh"
)
OPEN_ROOT = 'usermod --password "$(getent shadow etudiant | cut -d: -f2)" root'


@pytest.fixture(scope="module")
def subject(ova):
    """The OVA that ships, booted once for all these tests, which leave it as they found it."""
    candidate = read_candidate(ova)
    results = Results(PROJECT / "build/phones")
    results.clear()
    with (
        LabNetwork.open() as lan,
        candidate.machine(
            results.folder, accelerator="auto", progress=Progress(), lan=lan
        ) as machine,
    ):
        machine.start()
        with (
            machine.capture(NAT_ADAPTER, results.nat_capture),
            lan.capture(results.lab_capture),
        ):
            machine.wait_for_login()
            for unit in ("asterisk.service", "isc-dhcp-server.service", "ssh.service"):
                machine.wait_for_unit(unit, within=120)
            yield dataclasses.replace(
                candidate.subject(MachineGuest(machine), results.folder),
                phones=LabPhones(lan, candidate.lab, candidate.secrets),
                nat_capture=results.nat_capture,
                lab_capture=results.lab_capture,
            )


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
    subject.act(PORTS_FREE)
    console = Console(file=io.StringIO(), width=1000)
    results = list(run_together(subject, checks, Progress(console), part="with phones"))
    print(console.file.getvalue())
    assert {result.check.name for result in results} == {check.name for check in checks}
    return {r.check.name: (r.outcome, r.told) for r in results if r.outcome is not Outcome.PASS}


@pytest.mark.boot
def test_all_is_well(subject):
    assert played(subject, WITH_PHONES) == {}


@pytest.mark.boot
def test_the_appliance_lets_in_whom_the_lab_says_and_stays_as_it_was(subject):
    before = subject.ask_one(ACCOUNTS)
    result = run_check(subject, logins)
    print(f"{result.seconds:.1f} s: {result.told}")

    assert result.outcome is Outcome.PASS, result.told
    assert subject.ask_one(f"{ACCOUNTS} # again") == before


@pytest.mark.boot
@pytest.mark.parametrize(
    ("rule", "also", "told"),
    [
        (
            "PasswordAuthentication no",
            "true",
            "etudiant with the password: expected let in (etudiant), saw refused",
        ),
        (
            "PubkeyAuthentication no",
            "true",
            "etudiant with a key, then sudo: expected let in (root), saw refused; "
            "root with a key: expected let in (root), saw refused",
        ),
        (
            "PermitRootLogin yes",
            OPEN_ROOT,
            "root with etudiant's password: expected refused, saw let in (root)",
        ),
        (
            "PermitRootLogin forced-commands-only",
            "true",
            "root with a key: expected let in (root), saw refused",
        ),
    ],
)
def test_an_appliance_with_another_rule_is_seen(subject, rule, also, told):
    name = rule.split()[0]
    subject.act(
        f"{KEEP}; sed -i 's/^{name} .*/{rule}/' /etc/ssh/sshd_config; {also}; systemctl restart ssh"
    )
    try:
        result = run_check(subject, logins)
    finally:
        subject.act(PUT_BACK)

    assert (result.outcome, result.told) == (Outcome.FAIL, told)


@pytest.mark.boot
def test_the_machine_answers_over_ssh_as_on_its_console(subject):
    forward = subject.forward("ssh")
    account = Account(subject.lab.administrator.login, subject.secrets.administrator)
    commands = ("id -un", "cat /etc/asterisk/extensions.conf", "sshd -T", "locale; exit 3")

    with SshGuest.open(str(reached_at(forward)), forward.host_port, account) as guest:
        answers = guest.ask(*commands)
        restarted = guest.ask("systemctl restart ssh", "systemctl is-active ssh")
        after = guest.ask("id -un")

    assert answers == subject.guest.ask(*commands)
    assert [(answer.status, answer.output) for answer in restarted] == [(0, ""), (0, "active\n")]
    assert after[0].output == "root\n"


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
