"""The check of who gets in by ssh, against a real sshd whose rules are the lab's, or not."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from ipaddress import IPv4Address

import pytest

from tests.machine.sshd import PASSWORD, PROF, needs_sshd, sshd
from toiplab.exam.logins import RootAccess, lent_key, logins
from toiplab.exam.registry import CheckFailedError
from toiplab.exam.runner import Outcome, run_check
from toiplab.hardware import Forward, Hardware, NatAdapter
from toiplab.host import Finished
from toiplab.lab.model import Administrator, Ssh

slow = pytest.mark.boot  # some seconds each of logging in: with those that take minutes
USERS = (PROF, "root")
HOMES = "find /root /home -printf '%p %y %m %u %g %s %T@\\n' -type f -exec sha256sum {} +"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def of_server(recorded_subject):
    """Makes a subject of a running server, and of a lab with these ssh rules."""

    def make(server, **rules):
        lab = recorded_subject.lab.model_copy(
            update={"administrator": Administrator(login=PROF), "ssh": Ssh(**rules)}
        )
        forward = Forward("ssh", "tcp", IPv4Address("0.0.0.0"), server.port, 22)
        return dataclasses.replace(
            recorded_subject,
            guest=server,
            lab=lab,
            secrets=recorded_subject.secrets.model_copy(update={"administrator": PASSWORD}),
            hardware=Hardware("test", 1024, 1, (NatAdapter((forward,)),)),
        )

    return make


@pytest.mark.parametrize(
    ("root_login", "password", "access"),
    [
        ("yes", True, RootAccess(by_password=True, by_key=True)),
        ("yes", False, RootAccess(by_password=False, by_key=True)),
        ("prohibit-password", True, RootAccess(by_password=False, by_key=True)),
        ("forced-commands-only", True, RootAccess(by_password=False, by_key=False)),
        ("no", True, RootAccess(by_password=False, by_key=False)),
    ],
)
def test_what_opens_root(root_login, password, access):
    ssh = Ssh(root_login=root_login, password_authentication=password)

    assert RootAccess.of(ssh) == access


@needs_sshd
@pytest.mark.parametrize(
    ("root_login", "by_password", "by_key"),
    [
        ("prohibit-password", "refused", "let in (root)"),
        pytest.param("yes", "let in (root)", "let in (root)", marks=slow),
        pytest.param("forced-commands-only", "refused", "refused", marks=slow),
        pytest.param("no", "refused", "refused", marks=slow),
    ],
)
def test_root_as_the_lab_says(of_server, tmp_path, root_login, by_password, by_key):
    with sshd(tmp_path, root_login=root_login) as server:
        result = run_check(of_server(server, root_login=root_login), logins)

    assert (result.outcome, result.told) == (
        Outcome.PASS,
        "prof with the password: let in (prof); prof with a wrong password: refused; "
        "prof with a key, then sudo: let in (root); "
        f"root with prof's password: {by_password}; root with a key: {by_key}",
    )


@needs_sshd
@slow
@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (
            {"passwords": "no"},
            "prof with the password: expected let in (prof), saw refused",
        ),
        (
            {"keys": "no"},
            "prof with a key, then sudo: expected let in (root), saw refused; "
            "root with a key: expected let in (root), saw refused",
        ),
        (
            {"root_login": "yes"},
            "root with prof's password: expected refused, saw let in (root)",
        ),
        (
            {"root_login": "no"},
            "root with a key: expected let in (root), saw refused",
        ),
        (
            {"sudoers": "%sudo ALL=(ALL) NOPASSWD: /bin/true\n"},
            "prof with a key, then sudo: expected let in (root), saw let in "
            "(Sorry, user prof is not allowed to execute '/usr/bin/id -un'",
        ),
    ],
)
def test_a_server_with_other_rules_is_seen(of_server, tmp_path, faults, told):
    with sshd(tmp_path, **faults) as server:
        result = run_check(of_server(server), logins)

    assert result.outcome is Outcome.FAIL
    assert result.told.startswith(told)


@needs_sshd
@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param("true", id="no folder"),
        pytest.param("install -d -m 700 -o prof -g prof ~prof/.ssh", id="no file"),
        pytest.param(
            "install -d -m 750 -o prof -g prof ~prof/.ssh; printf 'ssh-ed25519 AAAA' |"
            " install -m 640 -o prof -g sudo /dev/stdin ~prof/.ssh/authorized_keys;"
            " cp -r ~prof/.ssh /root",
            id="a file that ends without a new line",
        ),
    ],
)
@pytest.mark.parametrize("failure", [None, CheckFailedError("…")], ids=["passes", "fails"])
def test_accounts_are_left_as_they_were(of_server, server, tmp_path, prepare, failure):
    server.ask(f"rm -rf ~prof/.ssh ~root/.ssh; {prepare}")
    before = _without_folder_times(server)

    with contextlib.suppress(CheckFailedError), lent_key(of_server(server), USERS, tmp_path) as key:
        public = key.with_suffix(".pub").read_text()
        for user in USERS:
            lent = server.ask(f"runuser -u {user} -- tail -n 1 ~{user}/.ssh/authorized_keys")
            assert lent == (Finished(0, public),)
        if failure:
            raise failure

    assert _without_folder_times(server) == before


def _without_folder_times(server):
    shown = server.ask(HOMES)[0].output.splitlines()
    return sorted(line for line in shown if " d " not in line) + sorted(
        line.rsplit(" ", 2)[0] for line in shown if " d " in line
    )


@needs_sshd
def test_nobody_at_the_forward_is_seen(of_server, server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(server, "port", free.getsockname()[1])
    result = run_check(of_server(server), logins)

    assert result.outcome is Outcome.FAIL
    assert result.told.endswith("Connection refused")
