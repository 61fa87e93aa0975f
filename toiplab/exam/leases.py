"""Rows D3 and D1 from outside: what phones get from the DHCP server, and adapter 1 does not."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait

from toiplab.exam.network import DHCP_SERVER
from toiplab.exam.places import LabPhones
from toiplab.exam.registry import CheckFailedError, Fact, NotHereError, agree, check
from toiplab.exam.subject import Subject
from toiplab.lab.model import NAT_NETWORK
from toiplab.machine.lan.dhcp import NoLeaseError
from toiplab.machine.lan.phone import Phone
from toiplab.wire import pcap

NAT_ROUTER = NAT_NETWORK.network_address + 2  # so in VirtualBox's NAT as in QEMU's
# dhclient(8): -1 tries once; the lease that ifup's own client holds stays as it is.
ASK_AGAIN = (
    "timeout 20 dhclient -1 -lf /dev/null -pf /run/exam-dhclient.pid -sf /bin/true {card}; "
    "kill $(cat /run/exam-dhclient.pid); true"
)
MANY = 100  # addresses: of a greater range, not all are asked for
ANSWERED_SECONDS = 30.0
REFUSED_SECONDS = 6.0  # in which a phone asks three times
FOR_EVER = 10_000_000  # seconds, which no lab file allows


@check("D3", "each phone gets an address of its own, with the lab's options", alone=True)
def leases(subject: Subject) -> str:
    """All of the lab's phones are switched on at the same moment, as when a class begins."""
    numbers = [extension.number for extension in subject.lab.extensions]
    class_room, size = lab_phones(subject), _addresses(subject)
    if size < len(numbers):
        raise CheckFailedError(
            f"expected an address for each of {len(numbers)} phones, "
            f"the lab file's ranges have {size}"
        )
    phones = class_room.switched_on(numbers)
    addresses = sorted(phone.address for phone in phones)
    agree(
        *(fact for phone in phones for fact in _options(subject, phone)),
        Fact("phones with an address of their own", len(phones), len(set(addresses))),
    )
    return f"{len(phones)} phones, {addresses[0]} to {addresses[-1]}, options as in the lab file"


@check("D3", "a full range refuses politely; who waits gets what is given back", alone=True)
def full_range(subject: Subject) -> str:
    """Newcomers take the addresses that are left, one of them for longer than is allowed."""
    phones, served = lab_phones(subject), subject.lab.networks.lab.dhcp
    size = _addresses(subject)
    left = size - phones.leases
    if size > MANY or left < 1:
        raise NotHereError(f"{left} of {size} addresses are left: too many to take, or none")
    names = ["late", *(f"new-{n}" for n in range(left))]
    late, patient, *others = newcomers = phones.plugged_in(names)
    with ThreadPoolExecutor(left) as together:
        asking = [together.submit(phone.dhcp, ANSWERED_SECONDS) for phone in others]
        try:
            lease = patient.dhcp(ANSWERED_SECONDS, ask_seconds=FOR_EVER)
            longest = lease.seconds
            at_most = max((s.max_lease_time for s in served if lease.address in s.range), default=0)
            for done in asking:
                done.result()
            refused = _refused(late)
            patient.renew()
            patient.release()
            late.dhcp(ANSWERED_SECONDS)
        finally:
            wait(asking)
            list(together.map(Phone.release, [p for p in newcomers if p.configured]))
    agree(
        Fact("seconds of a lease of someone who asks for more", at_most, longest),
        Fact("an address beyond the range", None, refused),
    )
    return (
        f"{size} addresses given, one for {longest} s at most; the next phone waited, "
        "and got the one that was given back"
    )


@check("D1", "nothing was offered on adapter 1 since the power came on")
def nothing_offered(subject: Subject) -> str:
    """In what went through it, only the hypervisor's own NAT answers by DHCP.

    The machine's own client asks at boot, before dhcpd is there; so it is made to ask again.
    """
    if subject.nat_capture is None:
        raise NotHereError("what goes through adapter 1 is not recorded")
    at_boot = _requests(pcap.read(subject.nat_capture))
    subject.act(ASK_AGAIN.format(card=subject.lab.nat_interface))
    datagrams = pcap.read(subject.nat_capture)
    asked = _requests(datagrams)
    offered = [d for d in datagrams if d.source.port == DHCP_SERVER]
    ours = sorted({str(d.source.address) for d in offered} - {str(NAT_ROUTER)})
    agree(
        Fact("requests seen of one who asks again", True, asked > at_boot),
        Fact("DHCP servers on adapter 1 beside the NAT's", [], ours),
    )
    return f"{asked} requests, answered by {NAT_ROUTER} alone"


def _addresses(subject: Subject) -> int:
    """How many the DHCP server has to give."""
    return sum(len(served.range) for served in subject.lab.networks.lab.dhcp)


def _requests(datagrams: Iterable[pcap.Datagram]) -> int:
    """How many went to a DHCP server."""
    return sum(d.target.port == DHCP_SERVER for d in datagrams)


def lab_phones(subject: Subject) -> LabPhones:
    """The subject's phones, which must be plugged into the lab network.

    Raises:
        NotHereError: they are not, or the lab has no DHCP server.
    """
    if not isinstance(subject.phones, LabPhones):
        raise NotHereError("this exam has no lab network (--nat-only or --host)")
    if not subject.lab.networks.lab.dhcp:
        raise NotHereError("the lab file has no DHCP server")
    return subject.phones


def _options(subject: Subject, phone: Phone) -> list[Fact]:
    """What must be in a phone's lease (options of RFC 2132)."""
    lease, name = phone.lease, phone.name
    if lease is None:
        raise CheckFailedError(f"{name}: has no lease")
    served = next((s for s in subject.lab.networks.lab.dhcp if lease.address in s.range), None)
    if served is None:
        ranges = " ".join(str(s.range) for s in subject.lab.networks.lab.dhcp)
        raise CheckFailedError(f"{name}: expected an address of {ranges}, got {lease.address}")
    return [
        Fact(f"{name}'s netmask", served.subnet.netmask, lease.netmask),
        Fact(f"{name}'s router", served.router, lease.router),
        Fact(f"{name}'s broadcast address", served.subnet.broadcast_address, lease.broadcast),
        Fact(f"{name}'s lease time in seconds", served.default_lease_time, lease.seconds),
    ]


def _refused(phone: Phone) -> str | None:
    """What a phone got that should get nothing."""
    try:
        return str(phone.dhcp(REFUSED_SECONDS).address)
    except NoLeaseError:
        return None


ALONE = (leases, full_range)
CHECKS = (nothing_offered,)
