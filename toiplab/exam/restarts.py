"""Rows I7, D4, H2 and N3 from outside: what is restarted is there again, and serves."""

from __future__ import annotations

from ipaddress import IPv4Address

from toiplab.exam.leases import lab_phones
from toiplab.exam.places import LEASE_SECONDS, account, phones_of
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.ssh import banner, identity
from toiplab.exam.subject import Subject
from toiplab.machine.lan.phone import Phone
from toiplab.machine.waiting import Deadline
from toiplab.phones.sipp import Sipp

ACTIVE_SECONDS = 60
ANSWER_SECONDS = 20
PING = ("busybox", "ping", "-c", "1", "-W", "1")


@check("I7", "asterisk restarted: a phone registers anew", takes=((1,),), alone=True)
def asterisk(subject: Subject) -> str:
    """The documents' own command."""
    (player,) = subject.players
    _restart(subject, "asterisk", 'asterisk -rx "core waitfullybooted"')
    sipp = Sipp(phones_of(subject).place(player.number), subject.logs / "sipp")
    tally = sipp.register([account(subject, player.number)])
    sipp.take_back([account(subject, player.number)])
    agree(Fact(f"registrations of {player.number}", 1, tally.well))
    return f"active, {player.number} is let in"


@check("D4", "the DHCP server restarted: a phone gets the address it had", alone=True)
def dhcp(subject: Subject) -> str:
    """The leases are kept in a file, so the address stays."""
    phone, *_ = lab_phones(subject).switched_on([subject.lab.extensions[0].number])
    before = phone.address
    _restart(subject, "isc-dhcp-server")
    agree(Fact("the phone's address", before, phone.dhcp(LEASE_SECONDS).address))
    return f"active, {before} given anew"


@check("H2", "ssh restarted: it answers, as the same machine", alone=True)
def ssh(subject: Subject) -> str:
    """Through the forward, with the host keys of before."""
    before = identity(subject).host_keys
    _restart(subject, "ssh")
    agree(Fact("host keys", before, identity(subject).host_keys))
    return f"active, {banner.run(subject)}"


@check("N3", "the lab card restarted: phones reach every address", alone=True)
def lab_card(subject: Subject) -> str:
    """As the documents restart it; each address answers a phone's ping."""
    phone, *_ = lab_phones(subject).switched_on([subject.lab.extensions[0].number])
    _restart(subject, f"ifup@{subject.lab.lab_interface}")
    addresses = [address.ip for address in subject.lab.networks.lab.addresses]
    silent = [address for address in addresses if not _answers(phone, address)]
    agree(Fact("addresses that do not answer", [], silent))
    return f"{' '.join(map(str, addresses))} answer {phone.address}"


def _answers(phone: Phone, address: IPv4Address) -> bool:
    """Whether an address answers: a card that was down needs a moment for its link."""
    deadline = Deadline.within(ANSWER_SECONDS)
    while phone.run([*PING, str(address)]).status != 0:
        if deadline.passed:
            return False
    return True


def _restart(subject: Subject, unit: str, ready: str = "true") -> None:
    """Restart a unit, and wait until it says that it is ready.

    Raises:
        CheckFailedError: it does not come back; with what it says of itself.
    """
    done = subject.act(
        f"systemctl restart {unit} && timeout {ACTIVE_SECONDS} sh -c 'until "
        f"systemctl --quiet is-active {unit} && {{ {ready}; }} >/dev/null; do sleep 0.2; done'"
    )
    if done.status != 0:
        raise CheckFailedError(
            f"{unit}: not active again after systemctl restart: {done.output.strip()}"
        )


# While the lab card is down, Asterisk would look for registered phones by way of adapter 1; QEMU's
# NAT then takes them for who is behind its forward. So nobody is registered at that time.
BEFORE_PHONES = (lab_card, dhcp, ssh)
AFTER_LOAD = (asterisk,)
