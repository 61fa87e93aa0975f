from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.exam.registrar import Registrar
from toiplab.errors import ToipLabError
from toiplab.host import which
from toiplab.machine.waiting import Deadline
from toiplab.phones.baresip import Baresip
from toiplab.phones.control import netstring, split_netstrings
from toiplab.phones.handset import Account, PhoneBrokenError, PhoneError

needs_baresip = pytest.mark.skipif(which("baresip") is None, reason="baresip is not installed")
SECRET = "pas-pour-ps"
LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture(scope="module")
def couple(tmp_path_factory):
    """Two phones on one address, which call each other without a server."""
    folder = tmp_path_factory.mktemp("phones")
    with (
        Baresip(Account("100"), tone=440, folder=folder) as one,
        Baresip(Account("200"), tone=620, folder=folder) as other,
    ):
        yield one, other


@needs_baresip
def test_two_phones_hear_each_other(couple):
    one, other = couple
    one.call(other.uri)
    rung = other.wait_for_call()
    one.wait_ringing()
    other.answer()
    assert one.wait_established() > rung

    assert one.listen(0.2).heard([440, 620]).ratio(620) == 1
    assert other.listen(0.2).heard([440, 620]).ratio(440) == 1

    one.hang_up()
    other.wait_closed()
    one.wait_closed()


@needs_baresip
def test_a_call_that_is_refused_says_so(couple):
    one, other = couple
    one.call(other.uri)
    other.wait_for_call()
    other.hang_up()

    with pytest.raises(PhoneError, match="100 is not in a call: 486"):
        one.wait_established()
    assert one.recording().seconds == 0


@needs_baresip
def test_what_does_not_come_is_told_with_what_came(couple):
    one, _ = couple

    with pytest.raises(PhoneError) as error:
        one.wait_for_call(within=0.05)

    assert str(error.value).startswith("100 is not called after 0.05 s; seen: ")


@needs_baresip
def test_a_silent_phone_is_not_heard(tmp_path, couple):
    one, _ = couple
    with Baresip(Account("300"), tone=0, folder=tmp_path) as silent:
        silent.call(one.uri)
        one.wait_for_call()
        one.answer()
        silent.wait_established()

        heard = one.listen(0.2).heard([440, 620])
        assert heard.silent
        assert heard.seconds == 0.2


@needs_baresip
def test_a_phone_registers_with_its_secret_and_leaves_nothing_that_holds_it(tmp_path):
    with Registrar({"5001": SECRET}) as server:
        account = Account("5001", SECRET, LOOPBACK, server.port)
        with Baresip(account, tone=440, folder=tmp_path) as phone:
            phone.register()
            listed = subprocess.run(["ps", "-ef"], capture_output=True, check=True).stdout
            settings = Path(phone._process.args[-1])

            assert "5001" in server.contacts
            assert SECRET.encode() not in listed
            assert not settings.exists()
    assert SECRET not in repr(account)
    assert not any(SECRET.encode() in file.read_bytes() for file in tmp_path.rglob("*.log"))


@needs_baresip
@pytest.mark.parametrize("light", [False, True])
def test_a_wrong_secret_is_told_in_the_servers_words(tmp_path, light):
    with Registrar({"5001": SECRET}) as server:
        account = Account("5001", "wrong", LOOPBACK, server.port)
        with (
            Baresip(account, tone=440, folder=tmp_path, message_light=light) as phone,
            pytest.raises(PhoneError, match="5001 is not registered: 403 Forbidden"),
        ):
            phone.register()


@needs_baresip
def test_a_phone_without_a_mailbox_is_refused_its_notices(tmp_path):
    with Registrar({"5001": SECRET}) as server:
        account = Account("5001", SECRET, LOOPBACK, server.port)
        with (
            Baresip(account, tone=440, folder=tmp_path, message_light=True) as phone,
            pytest.raises(PhoneError, match=r"is refused notices of its messages: \(404 Not Found"),
        ):
            phone.register()


@needs_baresip
@pytest.mark.parametrize("attempt", range(3))  # on loopback, as fast as a server can be
def test_a_phone_has_its_first_notice(tmp_path, attempt):
    with Registrar({"5001": SECRET}, subscriptions="200 OK") as server:
        account = Account("5001", SECRET, LOOPBACK, server.port)
        with Baresip(account, tone=440, folder=tmp_path, message_light=True) as phone:
            phone.register()

            assert "5001" in server.let_in


@needs_baresip
def test_a_port_that_is_taken_is_told(tmp_path, couple):
    one, _ = couple

    with (
        pytest.raises(ToipLabError, match="400: baresip ended with status 98") as error,
        Baresip(Account("400"), tone=440, folder=tmp_path, sip_port=one.sip_port),
    ):
        pass

    assert "Address already in use" in str(error.value)


@needs_baresip
def test_a_phone_ends_with_the_one_who_started_it(tmp_path):
    story = (
        "import sys, os, signal; from pathlib import Path; "
        "from toiplab.phones.baresip import Baresip; from toiplab.phones.handset import Account\n"
        f"phone = Baresip(Account('500'), tone=440, folder=Path({str(tmp_path)!r})).__enter__()\n"
        "print(phone._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", story], capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL
    deadline = Deadline.within(5)
    pid = int(died.stdout)
    while _alive(pid) and not deadline.passed:
        os.sched_yield()

    assert not _alive(pid)


@pytest.fixture
def elsewhere():
    """A runner that runs commands in a network namespace of their own."""
    unshare = ["unshare", "--user", "--map-root-user", "--net", "--"]
    script = "ip link set lo up && echo up && exec sleep 60"
    with subprocess.Popen([*unshare, "sh", "-c", script], stdout=subprocess.PIPE) as keeper:
        if not keeper.stdout.readline():
            pytest.skip("user namespaces are not allowed here")
        enter = ["nsenter", f"--target={keeper.pid}", "--user", "--net", "--preserve-credentials"]
        yield lambda argv: [*enter, "--", *argv]
        keeper.kill()


@needs_baresip
def test_phones_may_stand_in_another_network_namespace(tmp_path, elsewhere):
    with (
        Baresip(Account("600"), tone=440, folder=tmp_path, sip_port=5060, runner=elsewhere) as one,
        Baresip(Account("700"), tone=810, folder=tmp_path, runner=elsewhere) as other,
    ):
        one.call(other.uri)
        other.wait_for_call()
        other.answer()
        assert one.listen(0.2).heard([440, 810]).ratio(810) == 1

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(LOOPBACK), one._control_port))


@needs_baresip
def test_a_program_that_has_ended_is_not_the_servers_fault(tmp_path):
    with Baresip(Account("100"), tone=440, folder=tmp_path) as phone:
        phone._process.kill()

        with pytest.raises(PhoneBrokenError, match="100: baresip ended with status -9"):
            phone.wait_for_call()


def _alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_netstrings_are_made_and_split_wherever_they_are_cut():
    data = netstring(b"one") + netstring(b"") + netstring(b"a,b:c")
    assert data == b"3:one,0:,5:a,b:c,"

    for cut in range(len(data)):
        first, rest = split_netstrings(data[:cut])
        second, left = split_netstrings(rest + data[cut:])
        assert (first + second, left) == ([b"one", b"", b"a,b:c"], b"")
