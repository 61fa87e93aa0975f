"""What the system's own programs print, read into values; no command is run here."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address

INSTALLED = "ii"
PROCESS = re.compile(r'\(\("([^"]+)"')
ROW = re.compile(r"^(?=(?:tcp|udp|p_raw|p_dgr))", re.MULTILINE)
# Protocol, state, two queue lengths, local address and port.
SOCKET = re.compile(r"(tcp|udp)\s*[A-Z-]+\s*\d+\s+\d+\s+(\S+):(\d+)\s")
PACKET_SOCKET = re.compile(r"\*:(\S+)\s")
SUBNET = re.compile(r"subnet\s+(\S+)\s+netmask\s+(\S+)\s*\{([^}]*)\}")
COMMENT = re.compile(r"#.*")


@dataclass(frozen=True)
class Package:
    """An installed package, as dpkg-query(1) shows it with ``PACKAGES_COMMAND``."""

    name: str
    version: str
    status: str
    priority: str


PACKAGES_COMMAND = r"dpkg-query -W -f '${Package}\t${Version}\t${db:Status-Abbrev}\t${Priority}\n'"


def packages(output: str) -> tuple[Package, ...]:
    """The lines of ``PACKAGES_COMMAND``."""
    found = []
    for line in output.splitlines():
        match line.split("\t"):
            case [name, version, status, priority]:
                found.append(Package(name, version, status.strip(), priority))
    return tuple(found)


def conffiles(output: str) -> dict[str, str]:
    """Path to MD5, of dpkg-query's ``${Conffiles}`` lines; obsolete ones are left out."""
    found = re.findall(r"^ ?(/\S+) ([0-9a-f]{32})$", output, re.MULTILINE)
    return dict(found)


def checksums(output: str) -> dict[str, str]:
    """Path to MD5, of md5sum(1)'s lines, which are also those of ucf(1)'s hash file."""
    found = re.findall(r"^([0-9a-f]{32}) [ *](\S+)$", output, re.MULTILINE)
    return {path: digest for digest, path in found}


def interfaces(output: str) -> dict[str, tuple[IPv4Interface, ...]]:
    """Each network card with its IPv4 addresses, from ``ip -j addr`` (ip-address(8))."""
    try:
        links = json.loads(output)
    except json.JSONDecodeError:
        return {}
    return {
        link["ifname"]: tuple(
            IPv4Interface(f"{address['local']}/{address['prefixlen']}")
            for address in link["addr_info"]
            if address["family"] == "inet"
        )
        for link in links
        if "ifname" in link
    }


@dataclass(frozen=True)
class Socket:
    """A socket that waits for strangers, of ``ss -H -lntup`` (ss(8))."""

    protocol: str
    address: str
    port: int
    program: str

    @property
    def service(self) -> tuple[str, int, str]:
        """Protocol, port and program, whatever the address."""
        return self.protocol, self.port, self.program

    @property
    def loopback(self) -> bool:
        """Whether only the machine itself can reach it."""
        address = self.address.partition("%")[0].strip("[]")  # [fe80::1]%enp0s3
        return address != "*" and ip_address(address).is_loopback

    def __str__(self) -> str:
        return f"{self.program} on {self.address}:{self.port}/{self.protocol}"


def sockets(output: str) -> tuple[Socket, ...]:
    """The sockets of ``ss -H -lntup``."""
    found = []
    for row in _rows(output):
        if socket := SOCKET.match(row):
            protocol, address, port = socket.groups()
            process = PROCESS.search(row)
            found.append(Socket(protocol, address, int(port), process[1] if process else "?"))
    return tuple(found)


def packet_listeners(output: str, program: str) -> frozenset[str]:
    """The cards on which a program has a packet socket, from ``ss -H -a -0 -p``."""
    return frozenset(
        card
        for row in _rows(output)
        if f'(("{program}"' in row
        for card in PACKET_SOCKET.findall(row)
    )


def _rows(output: str) -> list[str]:
    """What ss tells of each socket.

    Before iproute2 5.6 it broke its lines at 80 columns unless on a terminal, and could leave
    no space after its first column; Debian 10 has 4.20.
    """
    return ROW.split(output)[1:]


def assignments(text: str) -> dict[str, str]:
    """The plain assignments of a shell file such as those of /etc/default."""
    found = re.findall(r'^\s*(\w+)=("?)(.*?)\2\s*$', text, re.MULTILINE)
    return {name: value for name, _, value in found}


def directives(text: str) -> dict[str, tuple[str, ...]]:
    """The lines of ``sshd -T``: each keyword in small letters with all its values."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        found[keyword] = (*found.get(keyword, ()), value)
    return found


@dataclass(frozen=True)
class ServedSubnet:
    """A subnet declaration of dhcpd.conf(5), with its statements as they stand there."""

    network: IPv4Network
    statements: frozenset[str]


def dhcpd_statements(text: str) -> tuple[str, ...]:
    """The statements of dhcpd.conf outside any braces, comments left out."""
    plain = COMMENT.sub("", text)
    while plain != (shallower := re.sub(r"[^;{}]*\{[^{}]*\}", "", plain)):
        plain = shallower
    return tuple(" ".join(part.split()) for part in plain.split(";") if part.strip())


def dhcpd_subnets(text: str) -> tuple[ServedSubnet, ...]:
    """The subnet declarations of dhcpd.conf, in order; what is no network is left out."""
    found = []
    for address, mask, body in SUBNET.findall(COMMENT.sub("", text)):
        with suppress(ValueError):
            network = IPv4Network((IPv4Address(address), str(IPv4Address(mask))))
            statements = (" ".join(part.split()) for part in body.split(";") if part.strip())
            found.append(ServedSubnet(network, frozenset(statements)))
    return tuple(found)


def last_line(output: str) -> str:
    """The last line that says something, such as ``systemctl is-enabled``'s answer."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else ""
