"""Who gets in by ssh, and the exam over ssh, on the OVA that ships."""

from __future__ import annotations

import pytest

from toiplab.exam.logins import logins
from toiplab.exam.runner import Outcome, run_check
from toiplab.exam.ssh_guest import SshGuest
from toiplab.machine.ports import reached_at
from toiplab.machine.shell import Account

pytestmark = pytest.mark.boot

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
def subject(appliance):
    return appliance


def test_the_appliance_lets_in_whom_the_lab_says_and_stays_as_it_was(subject):
    before = subject.ask_one(ACCOUNTS)
    result = run_check(subject, logins)
    print(f"{result.seconds:.1f} s: {result.told}")

    assert result.outcome is Outcome.PASS, result.told
    assert subject.ask_one(f"{ACCOUNTS} # again") == before


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
