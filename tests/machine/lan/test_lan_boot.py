"""The shipped appliance on the lab network: its DHCP server, with phones of ours (row D3)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from toiplab.exam.candidate import read_candidate
from toiplab.hardware import NatAdapter
from toiplab.machine.lan.dhcp import Lease
from toiplab.machine.lan.network import LabNetwork
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk
from toiplab.machine.shell import Account

pytestmark = pytest.mark.boot


@pytest.fixture(scope="module")
def candidate(ova):
    return read_candidate(ova)


@pytest.fixture(scope="module")
def network(possible):
    with LabNetwork.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def appliance(candidate, network, tmp_path_factory):
    """Without the forwards: what is on the host's ports is no matter here."""
    shipped = candidate.ova.hardware
    adapters = [NatAdapter() if isinstance(a, NatAdapter) else a for a in shipped.adapters]
    account = Account(candidate.lab.administrator.login, candidate.secrets.administrator)
    with Machine(
        replace(shipped, adapters=tuple(adapters)),
        Disk(candidate.ova.backing(), "vmdk"),
        tmp_path_factory.mktemp("lan"),
        account,
        lan=network,
    ) as machine:
        machine.boot()
        machine.wait_for_unit("isc-dhcp-server.service", within=120)
        yield machine


@pytest.fixture(scope="module")
def phones(appliance, network):
    """Two phones, switched on at the same time."""
    both = [network.phone("5001"), network.phone("5002")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda phone: phone.dhcp(within=30), both))
    return both


def test_two_phones_get_two_addresses_with_the_options_of_the_lab_file(candidate, phones):
    lab = candidate.lab.networks.lab
    [served] = lab.dhcp
    leases = [phone.lease for phone in phones]
    assert leases[0].address != leases[1].address
    for lease in leases:
        assert lease.address in served.range
        assert lease == Lease(
            address=lease.address,
            server=lab.addresses[0].ip,
            seconds=served.default_lease_time,
            netmask=served.subnet.netmask,
            router=served.router,
            broadcast=served.subnet.broadcast_address,
            dns=(),
            domain=None,
        )


def test_phones_reach_every_address_of_the_appliance_and_each_other(candidate, phones):
    first, second = phones
    addresses = [interface.ip for interface in candidate.lab.networks.lab.addresses]
    for address in (*addresses, second.address):
        pinged = first.run(["busybox", "ping", "-c", "1", "-W", "10", str(address)])
        assert pinged.status == 0, pinged.output


def test_asterisk_answers_a_phone(candidate, appliance, phones):
    [served] = candidate.lab.networks.lab.dhcp
    appliance.wait_for_unit("asterisk.service", within=120)
    asked = phones[0].run(["sipsak", "-s", f"sip:{served.router}"], timeout=60)
    assert asked.status == 0, asked.output


def test_a_phone_does_not_reach_the_hosts_nat_through_the_appliance(phones):
    assert phones[0].run(["busybox", "ping", "-c", "1", "-W", "2", "10.0.2.2"]).status != 0


def test_a_phone_may_ask_for_more_time_up_to_the_greatest(candidate, appliance, network):
    [served] = candidate.lab.networks.lab.dhcp
    phone = network.phone("long")
    lease = phone.dhcp(within=30, ask_seconds=served.max_lease_time + 1000)
    assert lease.seconds == served.max_lease_time
    phone.release()


def test_the_lease_is_renewed_after_a_reboot(appliance, phones):
    appliance.reboot()
    appliance.wait_for_unit("isc-dhcp-server.service", within=120)
    address = phones[0].address
    assert phones[0].renew(within=30).address == address
