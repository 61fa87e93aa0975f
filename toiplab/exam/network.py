"""Rows V4, V5, N1 to N3 and D1 to D4 as seen from inside: the cards and the DHCP server."""

from __future__ import annotations

import re

from toiplab.exam import readings
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.lab.model import NAT_NETWORK, SIP_PORT, DhcpSubnet
from toiplab.lab.types import MAX_PORT

DHCPD_CONF = "/etc/dhcp/dhcpd.conf"
DHCPD_DEFAULTS = "/etc/default/isc-dhcp-server"
DHCP_SERVER, DHCP_CLIENT = 67, 68  # RFC 2131, section 4.1
PACKET_SOCKETS = "ss -H -a -0 -p"
ADDRESSES = "ip -j addr"
ASKED_FOR_ADDRESS = "journalctl -b -t dhclient -n 1 -o cat --no-pager"
# Of lower rank than the card's own routes. Without these, what Asterisk sends to a phone while the
# card is down leaves by the NAT, which then takes that address for who is behind its SIP forward.
KEPT_FROM_NAT = "ip -4 route show type unreachable"
# What dhcpd says when it serves less than it should.
DHCPD_COMPLAINTS = re.compile(
    r"not authoritative|no subnet (?:declaration|for)|ignoring requests|"
    r"not configured to listen|can't open|semicolon expected|exiting",
    re.IGNORECASE,
)
DHCPD_SERVES = "Server starting service"
RESTART_SECONDS = 30
# Programs that ask others from a port of the kernel's choosing, and keep it for the answer:
# Asterisk's resolver, and systemd-timesyncd where no time server is let through. The
# kernel's name of a program ends after 15 letters: proc(5), comm.
ASKING = {"asterisk", "systemd-timesyn"}
# Programs that listen on the network in tasks of Debian's that a lab file may choose.
TASK_PROGRAMS = {
    "print-server": {"cupsd", "cups-browsed", "avahi-daemon"},
    "desktop": {"cupsd", "cups-browsed", "avahi-daemon", "gnome-remote-de", "NetworkManager"},
}


@check("V4", "adapter 1 has an address of the NAT network")
def nat_adapter(subject: Subject) -> str:
    """The way to the Internet: an address by DHCP, and the default route."""
    addresses, route, asked = subject.ask(ADDRESSES, "ip -4 route show default", ASKED_FOR_ADDRESS)
    name = subject.lab.nat_interface
    cards = readings.interfaces(addresses)
    inside = [str(address) for address in cards.get(name, ()) if address.ip in NAT_NETWORK]
    if not inside:
        raise CheckFailedError(
            f"{name}: expected an address of {NAT_NETWORK}, saw "
            f"{' '.join(map(str, cards.get(name, ()))) or 'none'}; dhclient: {asked.strip()}"
        )
    agree(Fact("card of the default route", name, _word_after("dev", route)))
    return f"{name} {inside[0]}, default route"


@check("V5", "the two adapters have the names the configuration uses")
def adapters(subject: Subject) -> str:
    """The names follow from the slots of the adapters."""
    lab = subject.lab
    cards = set(readings.interfaces(subject.ask_one(ADDRESSES)))
    agree(Fact("network cards", {"lo", lab.nat_interface, lab.lab_interface}, cards))
    return f"{lab.nat_interface} {lab.lab_interface}"


@check("N1", "the lab card carries the server's first address")
def first_address(subject: Subject) -> str:
    """The static address of the documents."""
    return _carries(subject, 1)


@check("N2", "the lab card carries every address, dhcpd one shared network")
def every_address(subject: Subject) -> str:
    """All networks of one card belong together, or dhcpd would not serve the second."""
    seen = _carries(subject, len(subject.lab.networks.lab.addresses))
    conf, kept = subject.ask(f"cat {DHCPD_CONF}", KEPT_FROM_NAT)
    declared = {subnet.network for subnet in readings.dhcpd_subnets(conf)}
    agree(
        Fact("shared-network in dhcpd.conf", 1, len(re.findall(r"^shared-network ", conf, re.M))),
        Fact(
            "its subnets",
            {address.network for address in subject.lab.networks.lab.addresses},
            declared,
        ),
        Fact(
            f"networks kept from {subject.lab.nat_interface} while the card is down",
            {str(address.network) for address in subject.lab.networks.lab.addresses},
            set(re.findall(r"^unreachable (\S+)", kept, re.MULTILINE)),
        ),
    )
    return f"{seen}; one shared-network"


@check("N3", "restarting the lab card by ifup@ brings every address back")
def restarted_card(subject: Subject) -> str:
    """The documents' own command; that the card really went down is seen by its carrier."""
    name = subject.lab.lab_interface
    unit = f"ifup@{name}.service"
    changes = f"$(cat /sys/class/net/{name}/carrier_changes)"
    restarting = f"while systemctl show -p SubState {unit} | grep -q =running; do sleep 0.2; done"
    changed = subject.act(
        f"before={changes}; systemctl restart {unit}; "
        f"timeout {RESTART_SECONDS} sh -c '{restarting}'; echo $(({changes} - before))"
    ).output
    active, addresses, dhcpd, packet = subject.ask(
        f"systemctl is-active {unit}",
        ADDRESSES,
        "systemctl is-active isc-dhcp-server",
        PACKET_SOCKETS,
    )
    agree(
        Fact(f"{unit} after its restart", "active", readings.last_line(active)),
        Fact("times the card went down or up", "2", readings.last_line(changed)),
        Fact(
            f"addresses of {name} after its restart",
            tuple(subject.lab.networks.lab.addresses),
            readings.interfaces(addresses).get(name, ()),
        ),
        Fact("isc-dhcp-server afterwards", "active", readings.last_line(dhcpd)),
        Fact("cards dhcpd serves", {name}, set(readings.packet_listeners(packet, "dhcpd"))),
    )
    return f"{unit} restarted, all addresses back, dhcpd still there"


@check("D1", "dhcpd serves the lab card alone")
def dhcp_cards(subject: Subject) -> str:
    """What its defaults say, and the cards on which it really has a socket."""
    defaults, packet, listening = subject.ask(
        f"cat {DHCPD_DEFAULTS}", PACKET_SOCKETS, "ss -H -lntup"
    )
    values = readings.assignments(defaults)
    name = subject.lab.lab_interface
    cards = set(readings.packet_listeners(packet, "dhcpd"))
    on_port = {s.program for s in readings.sockets(listening) if s.port == DHCP_SERVER}
    agree(
        Fact("DHCPDv4_CONF", DHCPD_CONF, values.get("DHCPDv4_CONF")),
        Fact("INTERFACESv4", name, values.get("INTERFACESv4")),
        Fact("INTERFACESv6", "", values.get("INTERFACESv6")),
        Fact("cards dhcpd serves", {name}, cards),
        Fact(f"programs on port {DHCP_SERVER}/udp", {"dhcpd"}, on_port),
    )
    return f"dhcpd on {name} only"


@check("D2", "dhcpd is authoritative and complains of nothing")
def authoritative(subject: Subject) -> str:
    """The daemon's own reading of its file, and what it said since the boot."""
    conf, tested, journal = subject.answers(
        f"cat {DHCPD_CONF}",
        f"dhcpd -t -4 -cf {DHCPD_CONF}",
        "journalctl -b -u isc-dhcp-server -o cat --no-pager",
    )
    said = [line for line in journal.output.splitlines() if DHCPD_COMPLAINTS.search(line)]
    agree(
        Fact("exit status of dhcpd -t", 0, tested.status),
        Fact(
            "statement authoritative",
            True,
            "authoritative" in readings.dhcpd_statements(conf.output),
        ),
        Fact("complaints in its journal", [], said),
        Fact(f"{DHCPD_SERVES!r} in its journal", True, DHCPD_SERVES in journal.output),
    )
    return "authoritative, no complaint"


@check("D3", "dhcpd.conf holds the lab's ranges, options and times")
def dhcp_options(subject: Subject) -> str:
    """As the file says; that a client gets them is for the phones to see."""
    conf = subject.ask_one(f"cat {DHCPD_CONF}")
    declared = {subnet.network: subnet.statements for subnet in readings.dhcpd_subnets(conf)}
    lab = subject.lab.networks.lab
    served = {subnet.subnet: _statements(subnet) for subnet in lab.dhcp}
    empty = {a.network: frozenset[str]() for a in lab.addresses if a.network not in served}
    agree(
        *(
            Fact(f"subnet {network}", statements, declared.get(network, frozenset()))
            for network, statements in (empty | served).items()
        )
    )
    return "; ".join(f"{subnet.subnet} gives {subnet.range}" for subnet in lab.dhcp) or "no range"


@check("D4", "the DHCP server is active, and enabled at boot")
def dhcp_service(subject: Subject) -> str:
    """Debian's unit is made from a System V script; is-enabled(1) knows both kinds."""
    active, enabled = subject.ask(
        "systemctl is-active isc-dhcp-server", "systemctl is-enabled isc-dhcp-server"
    )
    agree(
        Fact("isc-dhcp-server", "active", readings.last_line(active)),
        Fact("at boot", "enabled", readings.last_line(enabled)),
    )
    return "active, enabled"


@check("whole", "nothing listens that is not the lab's")
def listeners(subject: Subject) -> str:
    """Every socket open to strangers, but for the random ports of those who ask."""
    listening, ephemeral = subject.ask("ss -H -lntup", "cat /proc/sys/net/ipv4/ip_local_port_range")
    lowest = re.match(r"\d+", ephemeral)
    first_random = int(lowest[0]) if lowest else MAX_PORT + 1
    wanted = {
        ("tcp", subject.lab.ssh.port, "sshd"),
        ("udp", SIP_PORT, "asterisk"),
        ("udp", DHCP_SERVER, "dhcpd"),
        ("udp", DHCP_CLIENT, "dhclient"),
    }
    programs = set().union(*(TASK_PROGRAMS.get(task, set()) for task in subject.lab.tasks))
    found = [socket for socket in readings.sockets(listening) if not socket.loopback]
    strangers = [
        socket
        for socket in found
        if socket.service not in wanted
        and socket.program not in programs
        and not (
            socket.protocol == "udp" and socket.program in ASKING and socket.port >= first_random
        )
    ]
    seen = {socket.service for socket in found}
    missing = [f"{program} on {port}/{proto}" for proto, port, program in sorted(wanted - seen)]
    agree(
        Fact("strangers", [], strangers),
        Fact("not listening", [], missing),
    )
    return ", ".join(sorted({f"{program} {port}/{proto}" for proto, port, program in wanted}))


def _carries(subject: Subject, count: int) -> str:
    """Check the first ``count`` addresses of the lab card; all of them if it is all."""
    name = subject.lab.lab_interface
    addresses = tuple(subject.lab.networks.lab.addresses)
    carried = readings.interfaces(subject.ask_one(ADDRESSES)).get(name, ())
    seen = carried if count == len(addresses) else carried[:count]
    agree(Fact(f"addresses of {name}", addresses[:count], seen))
    return f"{name} {' '.join(map(str, addresses[:count]))}"


def _statements(subnet: DhcpSubnet) -> frozenset[str]:
    return frozenset(
        {
            f"range {subnet.range.first} {subnet.range.last}",
            f"option routers {subnet.router}",
            f"option broadcast-address {subnet.subnet.broadcast_address}",
            f"default-lease-time {subnet.default_lease_time}",
            f"max-lease-time {subnet.max_lease_time}",
        }
    )


def _word_after(word: str, text: str) -> str:
    found = re.search(rf"\b{word} (\S+)", text)
    return found[1] if found else ""


CHECKS = (
    nat_adapter,
    adapters,
    first_address,
    every_address,
    dhcp_cards,
    authoritative,
    dhcp_options,
    dhcp_service,
    listeners,
    restarted_card,
)
