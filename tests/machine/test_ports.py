import os
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from toiplab.errors import BAD_INPUT, ToipLabError
from toiplab.hardware import Forward
from toiplab.machine import ports

LOOPBACK = IPv4Address("127.0.0.1")
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@pytest.fixture(params=["tcp", "udp"])
def taken(request):
    """A protocol, and a port of it that this very process holds."""
    with socket.socket(socket.AF_INET, KINDS[request.param]) as holding:
        holding.bind(("127.0.0.1", 0))
        if request.param == "tcp":
            holding.listen()
        yield request.param, holding.getsockname()[1]


def test_a_taken_port_is_named_with_its_holder(taken):
    protocol, port = taken
    name = Path("/proc/self/comm").read_text().strip()
    with pytest.raises(ToipLabError) as caught:
        ports.check_free([Forward("sip", protocol, LOOPBACK, port, 5060)])
    assert caught.value.status == BAD_INPUT
    assert str(caught.value) == (
        f'port already taken: 127.0.0.1:{port}/{protocol} (forward "sip"),'
        f" by {name} (pid {os.getpid()})\n"
        "  stop what holds it, or give another in the lab file (networks.nat) and build"
    )


def test_all_troubles_come_at_once(taken):
    protocol, port = taken
    elsewhere = IPv4Address("203.0.113.9")
    with pytest.raises(ToipLabError) as caught:
        ports.check_free(
            [
                Forward("a", protocol, LOOPBACK, port, 1),
                Forward("b", "udp", elsewhere, 5060, 2),
            ]
        )
    first, second = caught.value.message.splitlines()
    assert first.startswith(f"port already taken: 127.0.0.1:{port}/{protocol}")
    assert second == 'not an address of this machine: 203.0.113.9:5060/udp (forward "b")'


def test_of_many_troubles_a_few_are_shown(taken):
    protocol, port = taken
    with pytest.raises(ToipLabError) as caught:
        ports.check_free([Forward(f"f{n}", protocol, LOOPBACK, port, n) for n in range(1, 11)])
    *shown, last = caught.value.message.splitlines()
    assert ['"f1"' in shown[0], '"f3"' in shown[2], len(shown)] == [True, True, 3]
    assert last == "and 7 more forwards"


def test_the_same_port_of_the_other_protocol_is_free(taken):
    protocol, port = taken
    other = "udp" if protocol == "tcp" else "tcp"
    ports.check_free([Forward("sip", other, LOOPBACK, port, 5060)])


def test_a_port_without_a_holder_has_none():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert ports.holder("tcp", port) == ""
