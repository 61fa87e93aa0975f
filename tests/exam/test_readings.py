"""Odd things that the guest's programs print, or that stand in its files."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from toiplab.exam import readings


@pytest.mark.parametrize(
    "text",
    [
        "subnet foo netmask bar {}",
        "subnet 10.0.0.0 netmask 255.0.255.0 {}",
        "subnet 10.0.0.1 netmask 255.0.0.0 {}",
        "# subnet 10.0.0.0 netmask 255.0.0.0 {}",
        "",
    ],
)
def test_a_subnet_that_is_none_is_left_out(text):
    (served,) = readings.dhcpd_subnets(
        f"{text}\nsubnet 192.168.1.0 netmask 255.255.255.0 {{ a b; }}"
    )

    assert served == readings.ServedSubnet(IPv4Network("192.168.1.0/24"), frozenset({"a b"}))


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.53%lo", True),
        ("[::1]", True),
        ("[fe80::1]%enp0s3", False),
        ("10.0.2.15%enp0s3", False),
        ("[::]", False),
        ("*", False),
    ],
)
def test_who_can_reach_a_socket(address, loopback):
    line = f'udp UNCONN 0 0 {address}:53 0.0.0.0:* users:(("named",pid=1,fd=3))\n'
    (socket,) = readings.sockets(line)

    assert (socket.address, socket.loopback) == (address, loopback)
