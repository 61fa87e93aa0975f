"""What the exam sees from outside, against small servers on loopback and the real sipsak."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import threading
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.exam.registrar import Registrar
from toiplab.errors import ToipLabError
from toiplab.exam import leases, sip, ssh
from toiplab.exam.places import LabPhones
from toiplab.exam.runner import Outcome, run_check
from toiplab.hardware import Hardware, NatAdapter
from toiplab.host import Finished
from toiplab.lab.types import AddressRange
from toiplab.machine.ports import LOOPBACK
from toiplab.phones import sipsak
from toiplab.wire.pcap import Datagram, Endpoint

needs_sipsak = pytest.mark.skipif(
    shutil.which("sipsak") is None, reason="sipsak is not installed on this machine"
)


def led_to(subject, name, port):
    """The subject, with its forward of that name on a port of our own."""
    forward = dataclasses.replace(subject.forward(name), host_port=port)
    hardware = Hardware("test", 1024, 1, (NatAdapter((forward,)),))
    return dataclasses.replace(subject, hardware=hardware)


@contextmanager
def greeter(line: bytes):
    """A server that says one line to whoever connects, once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            connection, _ = server.accept()
            with connection:
                connection.sendall(line)

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def told(check, subject):
    result = run_check(subject, check)
    return result.outcome, result.told


def test_an_ssh_server_is_recognised_by_its_banner(subject):
    with greeter(b"SSH-2.0-OpenSSH_8.4p1 Debian-5\r\n") as port:
        assert told(ssh.banner, led_to(subject, "ssh", port)) == (
            Outcome.PASS,
            f"127.0.0.1:{port} says SSH-2.0-OpenSSH_8.4p1 Debian-5",
        )


@pytest.mark.parametrize(("line", "seen"), [(b"", "nothing"), (b"220 mail\r\n", "220 mail")])
def test_another_banner_fails_h2(subject, line, seen):
    with greeter(line) as port:
        assert told(ssh.banner, led_to(subject, "ssh", port)) == (
            Outcome.FAIL,
            f"127.0.0.1:{port}: expected SSH-2.0-…, saw {seen}",
        )


@pytest.mark.parametrize(
    ("check", "forward"),
    [(sip.options, "sip"), (sip.register, "sip"), (ssh.banner, "ssh")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_ovf_without_its_forward_is_an_error(check, forward, subject):
    hardware = dataclasses.replace(subject.hardware, adapters=(NatAdapter(),))

    assert told(check, dataclasses.replace(subject, hardware=hardware)) == (
        Outcome.ERROR,
        f"the OVF has no forward named {forward!r}",
    )


def test_a_closed_ssh_forward_fails(subject):
    outcome, message = told(ssh.banner, led_to(subject, "ssh", free_port()))

    assert outcome is Outcome.FAIL
    assert "Connection refused" in message


@needs_sipsak
def test_options_answered(subject):
    with Registrar() as server:
        assert told(sip.options, led_to(subject, "sip", server.port)) == (
            Outcome.PASS,
            "200 OK, Asterisk PBX 16.28.0~dfsg-0+deb11u4",
        )


@needs_sipsak
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": "404 Not Found"}, "OPTIONS: expected 200 OK, saw 404 Not Found"),
        ({"server": "Kamailio"}, "Server: expected Asterisk 16.28.0, saw Kamailio"),
    ],
)
def test_options_answered_otherwise_fails(subject, changes, message):
    with Registrar(**changes) as server:
        assert told(sip.options, led_to(subject, "sip", server.port)) == (Outcome.FAIL, message)


@needs_sipsak
def test_nobody_answers_options(subject):
    assert told(sip.options, led_to(subject, "sip", free_port())) == (
        Outcome.FAIL,
        "OPTIONS: expected 200 OK, saw no answer (sipsak ended with status 3)",
    )


@needs_sipsak
def test_register_is_let_in_and_taken_back(subject):
    with Registrar(subject.secrets.extensions) as server:
        assert told(sip.register, led_to(subject, "sip", server.port)) == (
            Outcome.PASS,
            "2001 2002 2003 2004 5001 5002 5003 5004: 200 OK; wrong secret: 403 Forbidden; "
            "unknown phone: 403 Forbidden",
        )
        assert server.contacts == {}
        assert server.let_in == set(subject.secrets.extensions)


def with_secrets(subject, **changed):
    extensions = {**subject.secrets.extensions, **changed}
    secrets = subject.secrets.model_copy(update={"extensions": extensions})
    return dataclasses.replace(subject, secrets=secrets)


@needs_sipsak
def test_a_secret_too_long_for_sipsak_is_skipped_and_said_so(subject):
    examined = with_secrets(subject, **{"2001": "x" * 21})
    with Registrar(examined.secrets.extensions) as server:
        assert told(sip.register, led_to(examined, "sip", server.port)) == (
            Outcome.PASS,
            "2002 2003 2004 5001 5002 5003 5004: 200 OK; wrong secret: 403 Forbidden; "
            "unknown phone: 403 Forbidden; secret too long for sipsak: 2001",
        )


def test_no_secret_that_sipsak_takes_is_an_error(subject):
    examined = with_secrets(subject, **dict.fromkeys(subject.secrets.extensions, "x" * 21))

    assert told(sip.register, led_to(examined, "sip", free_port())) == (
        Outcome.ERROR,
        "every secret is longer than the 20 characters sipsak takes\n"
        "  give a phone of the lab file a shorter secret",
    )


@needs_sipsak
@pytest.mark.parametrize("number", ["2001", "5004"])
def test_any_phone_whose_secret_is_refused_fails(number, subject):
    known = subject.secrets.extensions | {number: "another one"}
    with Registrar(known) as server:
        assert told(sip.register, led_to(subject, "sip", server.port)) == (
            Outcome.FAIL,
            f"{number} with its secret: expected 200 OK, saw 403 Forbidden",
        )


@needs_sipsak
def test_nobody_answers_register(subject):
    assert told(sip.register, led_to(subject, "sip", free_port())) == (
        Outcome.FAIL,
        "2001 with its secret: expected 200 OK, saw no answer (sipsak ended with status 3)",
    )


@needs_sipsak
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lets_all_in": True},
            "2001 with a wrong secret: expected 403 Forbidden, saw 200 OK; "
            "an unknown phone: expected 403 Forbidden, saw 200 OK",
        ),
        (
            {"unknown": "404 Not Found"},
            "an unknown phone: expected 403 Forbidden, saw 404 Not Found",
        ),
    ],
)
def test_register_answered_otherwise_fails(subject, changes, message):
    with Registrar(subject.secrets.extensions, **changes) as server:
        assert told(sip.register, led_to(subject, "sip", server.port)) == (Outcome.FAIL, message)


def test_a_secret_is_never_an_argument_nor_in_the_log(tmp_path, monkeypatch):
    fake = tmp_path / "sipsak"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"${0%/*}/argv"\ncat >"${0%/*}/stdin"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    log = tmp_path / "log"

    sipsak.Server(LOOPBACK, 5060, log).register("2001", "zXy9secret")

    assert (tmp_path / "stdin").read_text() == "zXy9secret\n"
    assert "zXy9secret" not in (tmp_path / "argv").read_text() + log.read_text()


def test_a_secret_longer_than_sipsak_takes_is_refused(tmp_path):
    with pytest.raises(ToipLabError, match="2001: its secret is longer than 20 characters"):
        sipsak.Server(LOOPBACK, 5060, tmp_path / "log").register("2001", "x" * 21)


@pytest.mark.parametrize(
    ("status", "output", "answer"),
    [
        (0, "Please enter the password (max. length 20): ", "200 OK"),
        (1, "received:\nSIP/2.0 403 Forbidden\nVia: x\n", "403 Forbidden"),
        (1, "SIP/2.0 401 Unauthorized\nSIP/2.0 404 Not Found\n", "404 Not Found"),
        (1, "", "sipsak was refused and does not say how"),
        (3, "send failure: Connection refused", "no answer (sipsak ended with status 3)"),
        (124, "", "no answer (sipsak ended with status 124)"),
    ],
)
def test_sipsak_read(status, output, answer):
    assert str(sipsak.read_answer(status, output)) == answer


def dhcp(*, request: bool, server: str = "10.0.2.2"):
    """What goes through adapter 1: a request, or a server's answer."""
    client, at = Endpoint(IPv4Address("0.0.0.0"), 68), Endpoint(IPv4Address(server), 67)
    return Datagram(0.0, *((client, at) if request else (at, client)), b"")


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ([dhcp(request=True)], "2 requests, answered by 10.0.2.2 alone"),
        ([], "requests seen of one who asks again: expected yes, saw no"),
        (
            [dhcp(request=True), dhcp(request=False, server="10.0.2.15")],
            "DHCP servers on adapter 1 beside the NAT's: expected nothing, saw 10.0.2.15",
        ),
    ],
)
def test_only_the_nat_answers_one_who_asks_again(subject, guest, monkeypatch, later, told):
    at_boot = [dhcp(request=True), dhcp(request=False)]
    seen = iter([at_boot, [*at_boot, *later]])
    monkeypatch.setattr(leases.pcap, "read", lambda _: next(seen))
    guest.answers[leases.ASK_AGAIN.format(card="enp0s3")] = Finished(0, "")
    subject = dataclasses.replace(subject, nat_capture=Path("nat.pcap"))

    assert run_check(subject, leases.nothing_offered).told == told


def test_more_phones_than_addresses_are_told_before_they_ask(subject):
    networks = subject.lab.networks
    served = networks.lab.dhcp[0]
    few = served.model_copy(update={"range": AddressRange(served.range.first, served.range.first)})
    network = networks.lab.model_copy(update={"dhcp": (few,)})
    lab = subject.lab.model_copy(update={"networks": networks.model_copy(update={"lab": network})})
    phones = LabPhones(None, lab, subject.secrets)
    subject = dataclasses.replace(subject, lab=lab, phones=phones)

    assert run_check(subject, leases.leases).told == (
        "expected an address for each of 8 phones, the lab file's ranges have 1"
    )
