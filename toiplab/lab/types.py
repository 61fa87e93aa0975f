"""The kinds of value a lab file holds, each with the one message that refuses a bad one.

Nothing accepted here can change the structure of a file it lands in: no value has a
line break, and none has a character with a meaning in sip.conf, the dialplan,
dhcpd.conf, a shell script or a preseed.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

MAX_PORT = 65535
# Of glibc's locales and xkb's layouts, those that a class of this course may want; a
# wrong one would be found out late in a build, or not at all.
LOCALES = (
    *("ar_DZ", "ar_EG", "ar_MA", "ar_SA", "ar_TN", "de_AT", "de_CH", "de_DE", "en_AU", "en_CA"),
    *("en_GB", "en_IE", "en_US", "en_ZA", "es_ES", "es_MX", "fr_BE", "fr_CA", "fr_CH", "fr_FR"),
    *("fr_LU", "it_IT", "nl_BE", "nl_NL", "pt_BR", "pt_PT"),
)
KEYBOARDS = ("ara", "be", "br", "ca", "ch", "de", "es", "fr", "gb", "it", "latam", "nl", "pt", "us")
MIN_RTP_PORT = 1024  # Asterisk's res_rtp_asterisk silently takes this for anything lower
PORTS_PER_CALL = 4  # two phones, each with sound and its report (RFC 3550 section 11)
MAX_RTP_PORTS = 1000  # each is a forward of its own in the OVF
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


def _hidden(pattern: str, wanted: str) -> AfterValidator:
    """As ``_text``, for what a message must not repeat: a screen is read by a class."""
    regex = re.compile(pattern)

    def check(value: str) -> str:
        if not regex.fullmatch(value):
            raise ValueError(f"what is given is not {wanted}")
        return value

    return AfterValidator(check)


# Accounts and groups that Debian and the appliance's packages make, as
# base-passwd's /usr/share/base-passwd/passwd.master and group.master list the first of them.
# fmt: off
SYSTEM_NAMES = frozenset({
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp",
    "proxy", "www-data", "backup", "list", "irc", "gnats", "nobody", "nogroup", "adm", "tty",
    "disk", "kmem", "dialout", "fax", "voice", "cdrom", "floppy", "tape", "sudo", "audio",
    "dip", "operator", "src", "shadow", "utmp", "video", "sasl", "plugdev", "staff", "users",
    "input", "kvm", "render", "crontab", "messagebus", "ssh", "sshd", "netdev", "asterisk",
    "mysql", "dhcpd", "avahi", "colord", "saned", "pulse", "rtkit", "geoclue", "lpadmin",
    "scanner", "ssl-cert", "bluetooth", "hplip",
})
# fmt: on


def _not_of_the_system(value: str) -> str:
    if value in SYSTEM_NAMES or value.startswith(("systemd-", "_")):
        raise ValueError(f"{value!r} is a name the system itself uses: choose another")
    return value


def _time_zone(value: str) -> str:
    """Refuse a zone that does not exist, where this machine has a list of them."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        known = zoneinfo.available_timezones()
        if known:
            near = difflib.get_close_matches(value, known, n=1)
            mend = f"did you mean {near[0]}?" if near else "one such as Africa/Dakar is wanted"
            raise ValueError(f"{value!r} is not a time zone; {mend}") from None
    return value


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
Locale = Annotated[
    str,
    _text(rf"({'|'.join(LOCALES)})\.UTF-8", f"a locale of these: {' '.join(LOCALES)}, and .UTF-8"),
]
Keyboard = Annotated[
    str, _text("|".join(KEYBOARDS), f"a keyboard layout of these: {' '.join(KEYBOARDS)}")
]
Timezone = Annotated[
    str,
    _text(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}", "a time zone such as Africa/Dakar"),
    AfterValidator(_time_zone),
]
Login = Annotated[
    str,
    _text(r"[a-z][a-z0-9_-]{0,30}", "a login: small letters, digits, _ and -, a letter first"),
    AfterValidator(_not_of_the_system),
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
Pin = Annotated[str, _hidden(r"[0-9]{3,10}", "a PIN of 3 to 10 digits")]
Secret = Annotated[
    str, _hidden(r"[A-Za-z0-9._@%+-]{4,64}", "a secret: 4 to 64 of letters, digits and . _ @ % + -")
]
Password = Annotated[
    str, _hidden(r"[\x21-\x7e]{6,64}", "a password: 6 to 64 printable ASCII characters, no space")
]
SshKey = Annotated[
    str,
    _text(
        r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*( [\w .@:+-]+)?",
        "an OpenSSH public key on one line (the content of a .pub file)",
    ),
]
FeatureKey = Annotated[str, _text(r"[0-9*#]{1,3}", "a feature key: 1 to 3 of 0-9, * and #")]
Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
Seconds = Annotated[int, Field(ge=1, le=86400 * 30)]

_RANGE = re.compile(r"([0-9.]{1,15}) *- *([0-9.]{1,15})")


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

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

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
    wanted = f"a range of ports from {MIN_RTP_PORT} on, such as 10000-10019"
    first, last = _halves(value, wanted)
    if not (
        first.isdecimal()
        and last.isdecimal()
        and MIN_RTP_PORT <= int(first) < int(last) <= MAX_PORT
    ):
        raise ValueError(f"{value!r} is not {wanted}")
    if int(last) - int(first) < PORTS_PER_CALL - 1:
        raise ValueError(
            f"{value!r} has no room for a call: between two phones it takes {PORTS_PER_CALL} ports"
        )
    if int(last) - int(first) >= MAX_RTP_PORTS:
        raise ValueError(f"{value!r} is too many ports: {MAX_RTP_PORTS} at most")
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
    if not (re.fullmatch(r"[0-9]{2,8}", first) and last.isdecimal() and len(first) == len(last)):
        raise ValueError(f"{value!r} is not {wanted}")
    if first.startswith("0"):
        raise ValueError(f"{value!r} begins with 0, which Asterisk drops from parking slots")
    if int(first) > int(last):
        raise ValueError(f"{value!r} runs backwards: the smaller number comes first")
    if int(last) - int(first) >= MAX_SLOTS:
        raise ValueError(f"{value!r} has more than {MAX_SLOTS} numbers")
    return SlotRange(first, last)


Ports = Annotated[PortRange, BeforeValidator(_port_range)]
Addresses = Annotated[AddressRange, BeforeValidator(_address_range)]
Slots = Annotated[SlotRange, BeforeValidator(_slot_range)]
