"""The OpenSSH client driver against a real sshd on loopback."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from tests.machine.sshd import PASSWORD, PROF, needs_sshd, sshd
from toiplab.host import run
from toiplab.machine.shell import Account
from toiplab.machine.ssh import Answer, Login, NoAnswerError, Server, options, outcomes
from toiplab.machine.waiting import GuestError

ACCOUNT = Account(PROF, PASSWORD)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def server(running, tmp_path):
    return Server("127.0.0.1", running.port, tmp_path / "known hosts")


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@needs_sshd
def test_logins_side_by_side(server, tmp_path):
    key = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    sudo = "sudo -k -p lab-password: id -un"

    answers = outcomes(
        [
            Login(server, ACCOUNT, "id -un; echo déjà vu >&2; exit 3"),
            Login(server, ACCOUNT, sudo, terminal=True),
            Login(server, Account(PROF, "wrong"), "id -un"),
            Login(server, ACCOUNT, "id -un", key=key),
            Login(server, Account("nobody-here", PASSWORD), "id -un"),
        ]
    )

    assert answers[:2] == (Answer(True, "prof déjà vu"), Answer(True, "root"))
    assert [(str(answer), answer.said) for answer in answers[2:]] == [
        ("refused", f"{user}@127.0.0.1: Permission denied (publickey,password).")
        for user in (PROF, PROF, "nobody-here")
    ]
    assert server.known_hosts.read_text().startswith(f"[127.0.0.1]:{server.port} ")


@needs_sshd
def test_another_server_at_the_same_place_is_no_answer(server, tmp_path):
    key = tmp_path / "another"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    kind, public = key.with_suffix(".pub").read_text().split()[:2]
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {public}\n")

    with pytest.raises(NoAnswerError, match="Host key verification failed"):
        outcomes([Login(server, ACCOUNT, "id -un")])


def test_nobody_there_is_no_answer(closed_port, tmp_path):
    login = Login(Server("127.0.0.1", closed_port, tmp_path / "known"), ACCOUNT, "id -un")

    with pytest.raises(NoAnswerError) as caught:
        outcomes([login])

    assert str(caught.value) == (
        f"127.0.0.1:{closed_port}: no answer to a login: "
        f"ssh: connect to host 127.0.0.1 port {closed_port}: Connection refused"
    )


@needs_sshd
def test_a_refusal_in_place_of_a_session(server):
    login = Login(server, Account(PROF, "wrong"), "id -un")

    with pytest.raises(GuestError, match=r"does not let prof in: prof@127.0.0.1: Permission"):
        login.wait_until_let_in()


@needs_sshd
def test_the_password_is_no_argument_and_in_no_environment(server):
    login = Login(server, ACCOUNT, "cat")
    login.wait_until_let_in()
    mine = [file.parent for file in Path("/proc").glob("[0-9]*/cmdline") if _names(file, server)]
    shown = b"".join((place / "environ").read_bytes() for place in mine)
    shown += b"".join((place / "cmdline").read_bytes() for place in mine)
    login.close()

    assert len(mine) == 1
    assert PASSWORD.encode() not in shown


def _names(cmdline, server):
    with contextlib.suppress(OSError):  # it ended meanwhile
        return str(server.known_hosts).encode() in cmdline.read_bytes()


@pytest.mark.parametrize(
    ("key", "there", "absent"),
    [
        (
            None,
            {"PreferredAuthentications=password,keyboard-interactive", "PubkeyAuthentication=no"},
            {"BatchMode=yes"},
        ),
        (
            Path("/keys/a key"),
            {"PreferredAuthentications=publickey", "BatchMode=yes", 'IdentityFile="/keys/a key"'},
            {"PubkeyAuthentication=no"},
        ),
    ],
)
def test_only_what_is_meant_is_tried(key, there, absent):
    server = Server("127.0.0.1", 22, Path("known"))
    given = list(options(server, "prof", key, terminal=False))

    assert given[:7] == ["-F", "/dev/null", "-T", "-p", "22", "-l", "prof"]
    assert set(given) >= there
    assert not set(given) & absent
