"""The lab as a teacher describes it, validated: what every template and check reads.

The shape of ``labs/*.yml``. Later relations between numbers are in ``numbering``;
relations between addresses are here, beside the addresses.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toiplab.hardware import (
    Forward,
    Hardware,
    InternalAdapter,
    NatAdapter,
    interface_name,
)
from toiplab.lab.types import (
    Addresses,
    AddressRange,
    ContextName,
    DisplayName,
    FeatureKey,
    Hostname,
    Keyboard,
    LabName,
    Locale,
    Login,
    NetworkName,
    Number,
    Password,
    Pin,
    Port,
    Ports,
    Seconds,
    Secret,
    Slots,
    SshKey,
    Timezone,
)

# What VirtualBox's NAT gives the guest; a lab network must stay clear of it.
NAT_NETWORK = IPv4Network("10.0.2.0/24")
# SIP's own port (RFC 3261 section 19.1.2); the phones of the lab network use it.
SIP_PORT = 5060
LONGEST_PREFIX = 30  # the smallest network with room for the server and a phone

Task = Literal["standard", "ssh-server", "print-server", "desktop"]
AudioCodec = Literal["ulaw", "alaw", "gsm", "g722"]
VideoCodec = Literal["h264", "h263", "h263p", "vp8"]


class Part(BaseModel):
    """A part of the lab file: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Part):
    """The virtual machine; ``memory`` in MiB, ``disk`` in GiB."""

    memory: Annotated[int, Field(ge=256, le=65536)] = 1024
    cpus: Annotated[int, Field(ge=1, le=16)] = 1
    disk: Annotated[int, Field(ge=3, le=256)] = 8


class Administrator(Part):
    """The account with sudo; without a password here, one is generated (row H1)."""

    login: Login = "etudiant"
    full_name: DisplayName = "Administrateur du labo"
    password: Password | None = None
    ssh_keys: tuple[SshKey, ...] = ()


class Ssh(Part):
    """The ssh server (row H1)."""

    port: Port = 22
    root_login: Literal["yes", "no", "prohibit-password", "forced-commands-only"] = (
        "prohibit-password"
    )
    password_authentication: bool = True
    root_keys: tuple[SshKey, ...] = ()


class Nat(Part):
    """Adapter 1: NAT, and the host's ports that lead into the machine (row V4)."""

    listen: IPv4Address = IPv4Address("127.0.0.1")
    ssh: Port = 2222
    sip: Port = 5060
    rtp: Ports = Field(default="10000-10079", validate_default=True)
    external_address: IPv4Address | None = None

    @property
    def advertised(self) -> IPv4Address:
        """The address a phone on the host's side must send its sound to."""
        return self.external_address or self.listen

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.advertised.is_unspecified:
            raise ValueError(
                f"listen: {self.listen} opens the ports to every network of the host; "
                "external_address must then say which address phones use to reach it"
            )
        udp = {self.sip} & set(self.rtp)
        if udp:
            raise ValueError(f"sip: {self.sip} lies inside rtp {self.rtp}: choose another port")
        if SIP_PORT in set(self.rtp):
            raise ValueError(f"rtp: {self.rtp} holds {SIP_PORT}, the machine's own SIP port")
        return self


class DhcpSubnet(Part):
    """One subnet the DHCP server serves (row D3); times in seconds."""

    subnet: IPv4Network
    range: Addresses
    router: IPv4Address
    default_lease_time: Seconds = 600
    max_lease_time: Seconds = 7200

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.range.within(self.subnet):
            raise ValueError(f"range: {self.range} does not fit the hosts of {self.subnet}")
        if not AddressRange(self.router, self.router).within(self.subnet):
            raise ValueError(f"router: {self.router} is not an address of {self.subnet}")
        if self.router in self.range:
            raise ValueError(f"router: {self.router} lies inside range, a phone could be given it")
        if self.default_lease_time > self.max_lease_time:
            raise ValueError(
                f"default_lease_time: {self.default_lease_time} is longer than "
                f"max_lease_time {self.max_lease_time}"
            )
        return self


class LabNetwork(Part):
    """Adapter 2: the internal network where the phones live (rows V5, N1, N2)."""

    name: NetworkName = "toip-lab"
    addresses: Annotated[tuple[IPv4Interface, ...], Field(min_length=1)]
    dhcp: tuple[DhcpSubnet, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        networks = [address.network for address in self.addresses]
        for index, address in enumerate(self.addresses):
            place = f"addresses[{index}]: {address}"
            if address.network.prefixlen > LONGEST_PREFIX:
                raise ValueError(
                    f"{place} leaves no room for a phone: give it a prefix such as /24"
                )
            if address.ip in (address.network.network_address, address.network.broadcast_address):
                raise ValueError(f"{place} is the network's own or broadcast address")
            if address.is_loopback or address.is_multicast or address.is_reserved:
                raise ValueError(
                    f"{place} is no address for a card: one such as 192.168.10.1/24 is"
                )
            if address.network.overlaps(NAT_NETWORK):
                raise ValueError(f"{place} collides with VirtualBox's NAT network {NAT_NETWORK}")
            if any(address.network.overlaps(other) for other in networks[:index]):
                raise ValueError(f"{place} overlaps an earlier address's network")
        for index, served in enumerate(self.dhcp):
            place = f"dhcp[{index}].subnet: {served.subnet}"
            if served.subnet not in networks:
                raise ValueError(
                    f"{place} is no network of addresses, so dhcpd would refuse to start; "
                    f"add one such as {served.router}/{served.subnet.prefixlen} to addresses"
                )
            if served.router not in [address.ip for address in self.addresses]:
                raise ValueError(
                    f"dhcp[{index}].router: {served.router} is none of addresses: phones ask "
                    "their router for SIP, so it must be this machine"
                )
            for address in self.addresses:
                if address.ip in served.range:
                    raise ValueError(f"{place}: its range holds the server's own {address.ip}")
            if served.subnet in [other.subnet for other in self.dhcp[:index]]:
                raise ValueError(f"{place} is served twice")
        return self


class Networks(Part):
    """The two network adapters."""

    nat: Nat = Nat()
    lab: LabNetwork


class Sip(Part):
    """The [general] part of sip.conf (row A1)."""

    codecs: Annotated[tuple[AudioCodec, ...], Field(min_length=1)] = ("ulaw",)
    video_codecs: tuple[VideoCodec, ...] = ("h264",)
    language: Literal["fr", "en"] = "fr"
    dtmf_mode: Literal["rfc2833", "info", "inband", "auto"] = "rfc2833"
    send_rpid: Literal["pai", "rpid", "no"] = "pai"

    @model_validator(mode="after")
    def _once(self) -> Self:
        for key, codecs in (("codecs", self.codecs), ("video_codecs", self.video_codecs)):
            for index, codec in enumerate(codecs):
                if codec in codecs[:index]:
                    raise ValueError(f"{key}[{index}]: {codec} is given twice: keep one of them")
        return self


class Extension(Part):
    """A phone: its number, the name it shows, and what is generated unless given."""

    number: Number
    name: DisplayName
    secret: Secret | None = None
    pin: Pin | None = None


class Context(Part):
    """A group of phones that may call each other (rows A2 to A4)."""

    ring_seconds: Annotated[int, Field(ge=5, le=300)] = 20
    unanswered: Literal["voicemail", "hangup"] = "voicemail"
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)]


class Voicemail(Part):
    """The number that plays one's messages (row A5)."""

    number: Number = "701"


class Parking(Part):
    """Call parking (rows A6, A7): the number to transfer to, and the slots."""

    number: Number = "700"
    slots: Slots = Field(default="702-720", validate_default=True)
    seconds: Annotated[int, Field(ge=5, le=3600)] = 45


class Features(Part):
    """The keys of a call in progress (row A8)."""

    blind_transfer: FeatureKey = "#"
    attended_transfer: FeatureKey = "*"


class Lab(Part):
    """A whole lab file."""

    name: LabName
    title: DisplayName
    hostname: Hostname = "toip"
    locale: Locale = "fr_FR.UTF-8"
    keyboard: Keyboard = "fr"
    timezone: Timezone = "Africa/Dakar"
    release: Literal["auto", "buster", "bullseye"] = "auto"
    tasks: tuple[Task, ...] = ("standard", "ssh-server")
    machine: Machine = Machine()
    administrator: Administrator = Administrator()
    ssh: Ssh = Ssh()
    networks: Networks
    sip: Sip = Sip()
    contexts: Annotated[dict[ContextName, Context], Field(min_length=1)]
    voicemail: Voicemail = Voicemail()
    parking: Parking = Parking()
    features: Features = Features()
    cdr: Literal["csv", "mysql"] = "csv"

    @model_validator(mode="after")
    def _enterable(self) -> Self:
        if not (self.ssh.password_authentication or self.administrator.ssh_keys):
            raise ValueError(
                "ssh.password_authentication: without passwords, and without "
                "administrator.ssh_keys, nobody could log in by ssh: give a key"
            )
        return self

    @property
    def nat_interface(self) -> str:
        """The guest's name for adapter 1."""
        return interface_name(1)

    @property
    def lab_interface(self) -> str:
        """The guest's name for adapter 2, the lab network."""
        return interface_name(2)

    @property
    def sip_server(self) -> IPv4Address:
        """Where the phones of the lab network register: the address DHCP makes their router.

        Asterisk answers from the address of the phone's own network, so they must ask there.
        """
        lab = self.networks.lab
        return lab.dhcp[0].router if lab.dhcp else lab.addresses[0].ip

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """Every extension, in the order of the file."""
        return tuple(ext for context in self.contexts.values() for ext in context.extensions)

    @property
    def hardware(self) -> Hardware:
        """The machine the image must be given (rows V1 to V5)."""
        nat = self.networks.nat

        def forward(name: str, protocol: Literal["tcp", "udp"], host: int, guest: int) -> Forward:
            return Forward(name, protocol, nat.listen, host, guest)

        forwards = (
            forward("ssh", "tcp", nat.ssh, self.ssh.port),
            forward("sip", "udp", nat.sip, SIP_PORT),
            *(forward(f"rtp{port}", "udp", port, port) for port in nat.rtp),
        )
        return Hardware(
            name=f"toip-lab-{self.name}",
            memory=self.machine.memory,
            cpus=self.machine.cpus,
            adapters=(NatAdapter(forwards), InternalAdapter(self.networks.lab.name)),
        )
