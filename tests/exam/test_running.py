"""A machine that is already up: how it is found from here."""

from __future__ import annotations

import dataclasses
import io
import socket
from ipaddress import IPv4Address

import pytest
from rich.console import Console

from toiplab.errors import ToipLabError
from toiplab.exam import running
from toiplab.exam.plan import Plan
from toiplab.exam.runner import Outcome
from toiplab.exam.smoke import Options
from toiplab.hardware import Forward, Hardware, NatAdapter
from toiplab.progress import Progress

HERE = IPv4Address("127.0.0.1")


@pytest.fixture
def server():
    with socket.create_server((str(HERE), 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed():
    with socket.create_server((str(HERE), 0)) as listening:
        return listening.getsockname()[1]


def machine(ssh_host, ssh_guest):
    forwards = (
        Forward("ssh", "tcp", IPv4Address("127.0.0.9"), ssh_host, ssh_guest),
        Forward("sip", "udp", IPv4Address("127.0.0.9"), 15060, 5060),
    )
    return Hardware("toip", 1024, 1, (NatAdapter(forwards),))


def ports(hardware):
    return [(str(f.host_address), f.name, f.host_port) for f in hardware.forwards]


def test_it_is_met_over_its_forwards(server, closed):
    seen = running.seen_from_here(machine(server, closed), HERE)

    assert ports(seen) == [("127.0.0.1", "ssh", server), ("127.0.0.1", "sip", 15060)]


def test_it_is_met_on_its_own_ports_in_the_lab_network(server, closed):
    seen = running.seen_from_here(machine(closed, server), HERE)

    assert ports(seen) == [("127.0.0.1", "ssh", server), ("127.0.0.1", "sip", 5060)]


def test_nobody_is_there(closed):
    with pytest.raises(
        ToipLabError,
        match=rf"^127\.0\.0\.1: nobody answers on port {closed}\n  switch the machine on, and ",
    ):
        running.seen_from_here(machine(closed, closed), HERE)


def test_an_ova_without_forwards_has_no_way_in():
    with pytest.raises(ToipLabError, match=r"the OVF has no forward named 'ssh'"):
        running.seen_from_here(Hardware("toip", 1024, 1, (NatAdapter(),)), HERE)


def test_nothing_is_restarted_and_nothing_asked_of_the_ova():
    kept = running.kept((*Plan().first, *Plan().with_phones))

    assert not {check.name for check in kept} & {
        "V1 described",
        "N3 restarted_card",
        "N3 lab_card",
        "D4 dhcp",
        "H2 ssh",
        "I7 asterisk",
    }
    assert {"A4 conversation", "H1 logins", "A1 general"} <= {check.name for check in kept}


def test_what_needs_the_lab_network_is_skipped(subject):
    progress = Progress(Console(file=io.StringIO(), width=200))
    plan = Plan((), tuple(check for check in Plan().with_phones if check.row[0] == "D"))

    results = list(running.run(dataclasses.replace(subject), Options(plan=plan), progress))

    assert {result.outcome for result in results} == {Outcome.SKIP}
    assert {result.told for result in results} == {
        "this exam has no lab network (--nat-only or --host)",
        "what goes through adapter 1 is not recorded",
    }
