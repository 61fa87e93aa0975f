"""Commands as root over a real ssh session, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.machine.sshd import PASSWORD, PROF, needs_sshd, sshd
from toiplab.exam.ssh_guest import SshGuest
from toiplab.host import Finished
from toiplab.machine.shell import Account
from toiplab.machine.waiting import GuestError

pytestmark = needs_sshd
ACCOUNT = Account(PROF, PASSWORD)
LONG = "x" * 3000
SESSION = "ps -o sid= -p $$"
END_SESSION = f"kill -KILL $({SESSION})"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def guest(server):
    with SshGuest.open("127.0.0.1", server.port, ACCOUNT) as guest:
        yield guest


def test_outputs_and_statuses_come_back_whole(guest):
    assert guest.ask(
        "id -un",
        "echo un; echo deux >&2; exit 3",
        "printf 'déjà vu, no newline'",
        "printf 'tab\\tcr\\r\\n~.\\n\\n'",
        f"cat <<'end'\n~.\n{LONG}\nend",
        "cd /; value=1",
        'echo "${value-unset}"; cat',
    ) == (
        Finished(0, "root\n"),
        Finished(3, "un\ndeux\n"),
        Finished(0, "déjà vu, no newline"),
        Finished(0, "tab\tcr\r\n~.\n\n"),
        Finished(0, f"~.\n{LONG}\n"),
        Finished(0, ""),
        Finished(0, "unset\n"),
    )


def test_many_threads_get_their_own_answers(guest):
    answers = {}

    def ask(number):
        answers[number] = guest.ask(f"echo {number}")[0].output

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert answers == {number: f"{number}\n" for number in range(8)}


def test_a_session_that_ended_is_made_again(guest):
    before = int(guest.ask(SESSION)[0].output)
    with pytest.raises(GuestError, match="the ssh session ended during: kill"):
        guest.ask(END_SESSION)

    after = int(guest.ask(SESSION)[0].output)

    assert after != before


def test_nothing_is_asked_twice(guest, tmp_path):
    file = tmp_path / "asked"
    with pytest.raises(GuestError):
        guest.ask(f"echo once >>{file}; {END_SESSION}")

    guest.ask("true")

    assert file.read_text() == "once\n"


def test_a_session_outlives_sshd_which_restarts(guest, server):
    session = guest.ask(SESSION)
    os.kill(server.process.pid, signal.SIGHUP)  # sshd(8): it executes itself anew
    assert server.process.stderr
    while b"Server listening" not in (line := server.process.stderr.readline()):
        assert line, "sshd has ended"

    assert guest.ask(SESSION) == session


def test_no_file_is_left_behind(server):
    with SshGuest.open("127.0.0.1", server.port, ACCOUNT) as guest:
        (kept,) = guest.ask("readlink /proc/self/fd/1")
        assert Path(kept.output.strip()).exists()

    assert not Path(kept.output.strip()).exists()


def test_a_wrong_password(server):
    with (
        pytest.raises(GuestError) as caught,
        SshGuest.open("127.0.0.1", server.port, Account(PROF, "wrong")),
    ):
        pass

    assert str(caught.value) == (
        f"127.0.0.1:{server.port}: does not let prof in: "
        "prof@127.0.0.1: Permission denied (publickey,password).\n"
        "  the lab file and its secrets must be those the machine was built from"
    )


def test_no_sudo(tmp_path):
    with (
        sshd(tmp_path, sudoers="") as server,
        pytest.raises(GuestError) as caught,
        SshGuest.open("127.0.0.1", server.port, ACCOUNT),
    ):
        pass

    assert "prof does not become root by sudo: " in str(caught.value)
    assert "not in the sudoers file" in str(caught.value)


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with (
        pytest.raises(GuestError, match=r"no answer to a login: .*Connection refused"),
        SshGuest.open("127.0.0.1", port, ACCOUNT),
    ):
        pass
