"""Where an exam's phones stand: on the host, behind the NAT forwards, or in the lab network."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from toiplab.exam.subject import Subject
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.machine.lan.network import LabNetwork
from toiplab.machine.lan.phone import Phone
from toiplab.machine.ports import reached_at
from toiplab.phones.baresip import Baresip
from toiplab.phones.handset import Account, Phones, Place

LEASE_SECONDS = 30.0  # many phones are switched on at once


@dataclass(frozen=True)
class NatPhones:
    """Phones on the host, which reach the appliance through its NAT forwards (row V4)."""

    there: Place
    secrets: Secrets

    @classmethod
    def of(cls, subject: Subject) -> NatPhones:
        """Phones that register at the forward named ``sip``."""
        forward = subject.forward("sip")
        server = reached_at(forward)
        there = Place(server, forward.host_port, address=_way_to(server))
        return cls(there, subject.secrets)

    def place(self, number: str) -> Place:
        """On the host, whichever phone it is."""
        del number
        return self.there

    def phone(
        self, number: str, folder: Path, *, tone: int, message_light: bool = False
    ) -> Baresip:
        """A softphone with that number's account."""
        account = Account(number, self.secrets.extensions[number])
        return _softphone(self.there, account, folder, tone=tone, message_light=message_light)


class LabPhones:
    """Phones plugged into the lab network, each with an address by DHCP (row D3).

    Without a DHCP server in the lab file, their addresses are typed in, as on such a
    network.
    """

    def __init__(self, lan: LabNetwork, lab: Lab, secrets: Secrets) -> None:
        self.lan = lan
        self._lab = lab
        self._secrets = secrets
        self._plugged: dict[str, Phone] = {}
        self._plugging = threading.Lock()

    @property
    def leases(self) -> int:
        """How many phones have an address."""
        return sum(phone.configured for phone in self._plugged.values())

    def place(self, number: str) -> Place:
        """The phone's own corner of the lab network."""
        (phone,) = self.switched_on([number])
        router = phone.lease.router if phone.lease else None
        return Place(
            router or self._lab.sip_server,
            address=phone.address,
            runner=lambda argv: [*phone.enter, *argv],
        )

    def phone(
        self, number: str, folder: Path, *, tone: int, message_light: bool = False
    ) -> Baresip:
        """A softphone with that number's account."""
        place, account = self.place(number), Account(number, self._secrets.extensions[number])
        return _softphone(place, account, folder, tone=tone, message_light=message_light)

    def switched_on(self, numbers: Iterable[str]) -> list[Phone]:
        """Phones that are switched on at the same moment, as in a class that begins.

        One that has an address already keeps it.

        Raises:
            NoLeaseError: one of them got no address.
        """
        phones = self.plugged_in(numbers)
        with self._plugging:
            new = [phone for phone in phones if not phone.configured]
            if self._lab.networks.lab.dhcp:
                with ThreadPoolExecutor(len(new) or 1) as pool:
                    list(pool.map(lambda phone: phone.dhcp(LEASE_SECONDS), new))
            else:
                for phone in new:
                    phone.configure(self._free_address())
        return phones

    def plugged_in(self, names: Iterable[str]) -> list[Phone]:
        """Phones that are on the network, with an address or without; each name is plugged once."""
        with self._plugging:
            phones = [self._plugged.get(name) or self.lan.phone(name) for name in names]
            self._plugged.update({phone.name: phone for phone in phones})
        return phones

    def _free_address(self) -> IPv4Interface:
        lab = self._lab.networks.lab
        taken = {address.ip for address in lab.addresses}
        taken |= {phone.address for phone in self._plugged.values() if phone.configured}
        network = lab.addresses[0].network
        free = next(address for address in network.hosts() if address not in taken)
        return IPv4Interface(f"{free}/{network.prefixlen}")


def phones_of(subject: Subject) -> Phones:
    """Where the subject's phones stand: at the forwards, unless it says otherwise."""
    return subject.phones or NatPhones.of(subject)


def account(subject: Subject, number: str) -> Account:
    """What is typed into a phone of that number, but for the server."""
    return Account(number, subject.secrets.extensions[number])


def _way_to(server: IPv4Address) -> IPv4Address:
    """The address of this host that a server sees (ip(7)); nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((str(server), 9))  # discard
        return IPv4Address(way.getsockname()[0])


def _softphone(
    place: Place, account: Account, folder: Path, *, tone: int, message_light: bool
) -> Baresip:
    return Baresip(
        dataclasses.replace(account, server=place.server, port=place.port),
        tone=tone,
        folder=folder,
        message_light=message_light,
        address=place.address,
        runner=place.runner,
    )
