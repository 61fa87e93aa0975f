"""The kinds of value a lab file holds, each with the one message that refuses a bad one.

Nothing accepted here can change the structure of a file it lands in: no value has a
line break, and none has a character with a meaning in sip.conf, the dialplan,
dhcpd.conf, a shell script or a preseed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

MAX_PORT = 65535
MAX_SLOTS = 1000  # Asterisk makes an extension of each when it starts


def _matching(pattern: str, wanted: str) -> Callable[[str], str]:
    regex = re.compile(pattern)

    def check(value: str) -> str:
        if not regex.fullmatch(value):
            raise ValueError(f"{value!r} is not {wanted}")
        return value

    return check


def _text(pattern: str, wanted: str) -> AfterValidator:
    return AfterValidator(_matching(pattern, wanted))


LabName = Annotated[
    str,
    _text(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", "a name of small letters, digits and hyphens"),
]
Hostname = Annotated[
    str,
    _text(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "a host name: small letters, digits and hyphens, 63 at most (RFC 1123)",
    ),
]
Locale = Annotated[str, _text(r"[a-z]{2,3}_[A-Z]{2}\.UTF-8", "a UTF-8 locale such as fr_FR.UTF-8")]
Keyboard = Annotated[
    str, _text(r"[a-z]{2,3}", "a keyboard layout of two or three letters, such as fr")
]
Timezone = Annotated[
    str, _text(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}", "a time zone such as Africa/Dakar")
]
Login = Annotated[
    str,
    _text(r"[a-z][a-z0-9_-]{0,30}", "a login: small letters, digits, _ and -, a letter first"),
]
DisplayName = Annotated[
    str,
    _text(
        r"[^\W_]([\w .'()-]{0,38}[\w.)])?",
        "a name of 1 to 40 letters, digits, spaces and . ' ( ) - _",
    ),
]
ContextName = Annotated[
    str,
    _text(r"[A-Za-z][A-Za-z0-9_-]{0,38}", "a context name: letters, digits, _ and -"),
]
NetworkName = Annotated[
    str, _text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", "a network name: letters, digits, . _ and -")
]
Number = Annotated[str, _text(r"[0-9]{2,8}", "a number to dial: 2 to 8 digits")]
Pin = Annotated[str, _text(r"[0-9]{3,10}", "a PIN of 3 to 10 digits")]
Secret = Annotated[
    str, _text(r"[A-Za-z0-9._@%+-]{4,64}", "a secret: 4 to 64 of letters, digits and . _ @ % + -")
]
Password = Annotated[
    str, _text(r"[\x21-\x7e]{6,64}", "a password: 6 to 64 printable ASCII characters, no space")
]
SshKey = Annotated[
    str,
    _text(
        r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*( [\w.@:+-]+)?",
        "an OpenSSH public key on one line (the content of a .pub file)",
    ),
]
FeatureKey = Annotated[str, _text(r"[0-9*#]{1,3}", "a feature key: 1 to 3 of 0-9, * and #")]
Language = Annotated[str, _text(r"[a-z]{2}(_[A-Z]{2})?", "a language of the prompts, such as fr")]

Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
Seconds = Annotated[int, Field(ge=1, le=86400 * 30)]

_RANGE = re.compile(r"\s*(\S+?)\s*-\s*(\S+)\s*")


def _halves(value: object, wanted: str) -> tuple[str, str]:
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not {wanted}")
    return match[1], match[2]


@dataclass(frozen=True)
class PortRange:
    """Consecutive UDP or TCP ports, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))


@dataclass(frozen=True)
class AddressRange:
    """Consecutive IPv4 addresses, both ends included."""

    first: IPv4Address
    last: IPv4Address

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def within(self, network: IPv4Network) -> bool:
        """Whether both ends are usable host addresses of ``network``."""
        reserved = (network.network_address, network.broadcast_address)
        return all(end in network and end not in reserved for end in (self.first, self.last))


@dataclass(frozen=True)
class SlotRange:
    """Consecutive numbers to dial, such as the parking slots, both ends included."""

    first: str
    last: str

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __contains__(self, number: str) -> bool:
        return len(number) == len(self.first) and int(self.first) <= int(number) <= int(self.last)

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1


def _port_range(value: object) -> PortRange:
    wanted = "a range of ports such as 10000-10019"
    first, last = _halves(value, wanted)
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= MAX_PORT):
        raise ValueError(f"{value!r} is not {wanted}")
    return PortRange(int(first), int(last))


def _address_range(value: object) -> AddressRange:
    wanted = "a range of addresses such as 192.168.100.18-192.168.100.27"
    first, last = _halves(value, wanted)
    try:
        found = AddressRange(IPv4Address(first), IPv4Address(last))
    except ValueError:
        raise ValueError(f"{value!r} is not {wanted}") from None
    if found.first > found.last:
        raise ValueError(f"{value!r} runs backwards: the smaller address comes first")
    return found


def _slot_range(value: object) -> SlotRange:
    wanted = "a range of numbers such as 702-720"
    first, last = _halves(value, wanted)
    if not (first.isdecimal() and last.isdecimal() and len(first) == len(last)):
        raise ValueError(f"{value!r} is not {wanted}")
    if int(first) > int(last):
        raise ValueError(f"{value!r} runs backwards: the smaller number comes first")
    if int(last) - int(first) >= MAX_SLOTS:
        raise ValueError(f"{value!r} has more than {MAX_SLOTS} numbers")
    return SlotRange(first, last)


Ports = Annotated[PortRange, BeforeValidator(_port_range)]
Addresses = Annotated[AddressRange, BeforeValidator(_address_range)]
Slots = Annotated[SlotRange, BeforeValidator(_slot_range)]
