"""A phone and a real DHCP server, busybox's udhcpd, each in a namespace of its own."""

import time
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from subprocess import PIPE

import pytest

from toiplab.errors import ToipLabError
from toiplab.machine.lan.dhcp import Lease, NoLeaseError

CONFIGURATION = """\
start 192.168.100.18
end 192.168.100.18
interface eth0
lease_file {folder}/leases
pidfile {folder}/pid
max_leases 1
option subnet 255.255.255.240
option router 192.168.100.17
option broadcast 192.168.100.31
option dns 192.168.100.17 192.168.100.16
option domain labo
option lease 600
"""
DHCPRELEASE = bytes([53, 1, 7])  # RFC 2132, section 9.6
LEASE = Lease(
    address=IPv4Address("192.168.100.18"),
    server=IPv4Address("192.168.100.17"),
    seconds=600,
    netmask=IPv4Address("255.255.255.240"),
    router=IPv4Address("192.168.100.17"),
    broadcast=IPv4Address("192.168.100.31"),
    dns=(IPv4Address("192.168.100.17"), IPv4Address("192.168.100.16")),
    domain="labo",
)


@pytest.fixture
def server(lan, tmp_path):
    phone = lan.phone("server")
    phone.configure(IPv4Interface("192.168.100.17/28"))
    file = tmp_path / "udhcpd.conf"
    file.write_text(CONFIGURATION.format(folder=tmp_path))
    udhcpd = phone.popen(["busybox", "udhcpd", "-f", "-a", "10", file], stderr=PIPE)
    with udhcpd:
        assert b"started" in udhcpd.stderr.readline()
        yield phone
        udhcpd.kill()


def test_a_phone_takes_what_the_server_sends(lan, server):
    phone = lan.phone("A")
    assert phone.dhcp() == phone.lease == LEASE
    assert phone.address == LEASE.address
    assert "inet 192.168.100.18/28 brd 192.168.100.31" in phone.run(["ip", "addr"]).output
    assert "default via 192.168.100.17" in phone.run(["ip", "route"]).output
    assert phone.run(["busybox", "ping", "-c", "1", "-W", "5", "192.168.100.17"]).status == 0


def test_the_servers_lease_time_depends_on_what_is_asked_for(lan, server):
    assert lan.phone("A").dhcp(ask_seconds=120).seconds == 120


def test_a_full_range_refuses(lan, server):
    first, second = lan.phone("A"), lan.phone("B")
    first.dhcp()
    begun = time.monotonic()
    with pytest.raises(NoLeaseError) as caught:
        second.dhcp(within=0.5)
    assert time.monotonic() - begun < 5
    assert caught.value.message.startswith(
        "phone B: no address by DHCP within 0.5 s; the client said:\n  | udhcpc: started"
    )
    assert "broadcasting discover" in caught.value.message
    assert second.lease is None


def test_a_lease_is_given_back(lan, server, tmp_path):
    phone = lan.phone("A")
    phone.dhcp()
    with lan.capture(tmp_path / "lab.pcap"):
        phone.release()
    assert DHCPRELEASE in (tmp_path / "lab.pcap").read_bytes()
    assert phone.lease is None
    assert "inet 192" not in phone.run(["ip", "addr"]).output


def test_a_lease_is_renewed(lan, server):
    phone = lan.phone("A")
    phone.dhcp()
    assert phone.renew() == LEASE
    assert phone.address == LEASE.address


def test_a_lease_is_not_renewed_without_a_server(lan, server):
    phone = lan.phone("A")
    phone.dhcp()
    server.unconfigure()
    server.run(["ip", "link", "set", "eth0", "down"])
    with pytest.raises(NoLeaseError, match=r"^phone A: no address by DHCP within 0.3 s"):
        phone.renew(within=0.3)


def test_without_a_lease_there_is_nothing_to_renew(lan):
    phone = lan.phone("A")
    for verb in (phone.renew, phone.release):
        with pytest.raises(ToipLabError) as caught:
            verb()
        assert caught.value.message == "phone A has no lease"


def test_options_that_a_server_does_not_send():
    lease = Lease.parse({"event": "bound", "ip": "10.0.0.9", "opt53": "05"})
    assert lease == Lease(IPv4Address("10.0.0.9"), None, None, None, None, None, (), None)
    assert lease.interface == IPv4Interface("10.0.0.9/32")


def test_the_hosts_resolver_stays_as_it_is(lan, server):
    resolver = Path("/etc/resolv.conf")
    before = resolver.read_bytes()
    lan.phone("A").dhcp()
    assert resolver.read_bytes() == before
