"""A phone on the lab network: a network namespace with one card, plugged into the bridge."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from toiplab.errors import ToipLabError
from toiplab.host import Finished
from toiplab.machine.lan.dhcp import DhcpClient, Lease, NoLeaseError
from toiplab.machine.lan.namespaces import Namespace
from toiplab.machine.lan.programs import Stream
from toiplab.machine.waiting import Deadline

CARD = "eth0"
NAME = re.compile(r"[A-Za-z0-9-]{1,12}")  # with "to-", as long as an interface's may be


def mac_address(number: int) -> str:
    """The address of phone ``number``: locally administered (IEEE 802, bit 1)."""
    return f"02:70:68:6f:{number >> 8:02x}:{number & 0xFF:02x}"


class Phone:
    """One phone's place on the network: programs run in it see its card and no other."""

    def __init__(self, name: str, mac: str, namespace: Namespace) -> None:
        self.name = name
        self.mac = mac
        self.lease: Lease | None = None
        self._address: IPv4Interface | None = None
        self._namespace = namespace
        self._client: DhcpClient | None = None

    @classmethod
    def plug_in(cls, name: str, number: int, lab: Namespace, bridge: str) -> Phone:
        """A new phone on ``bridge`` in ``lab``; see ``LabNetwork.phone``."""
        if not NAME.fullmatch(name):
            raise ToipLabError(
                f"a phone cannot be named {name!r}", hint="1 to 12 letters, digits and dashes"
            )
        mac = mac_address(number)
        namespace = lab.beside()
        try:
            lab.ip(
                f"link add to-{name} type veth peer name {CARD} address {mac}"
                f" netns /proc/self/fd/{namespace.net.fileno()}",
                f"link set to-{name} addrgenmode none master {bridge} up",
                pass_fds=[namespace.net.fileno()],
            )
            namespace.ip("link set lo up", f"link set {CARD} addrgenmode none up")
        except BaseException:
            namespace.close()
            raise
        return cls(name, mac, namespace)

    def close(self) -> None:
        """Pull the phone's plug; programs that run in it must have ended."""
        self._end_client()
        self._namespace.close()

    # Address

    @property
    def configured(self) -> bool:
        """Whether it has an address."""
        return self._address is not None

    @property
    def address(self) -> IPv4Address:
        """Its address; ToipLabError when it has none."""
        if self._address is None:
            raise ToipLabError(f"phone {self.name} has no address yet")
        return self._address.ip

    def configure(self, address: IPv4Interface, router: IPv4Address | None = None) -> None:
        """Give it a fixed address, in place of the one it had."""
        self.unconfigure()
        route = [] if router is None else [f"route add default via {router}"]
        self._namespace.ip(f"addr add {address} broadcast + dev {CARD}", *route)
        self._address = address

    def unconfigure(self) -> None:
        """Take its address away, and the route with it."""
        self._namespace.ip(f"addr flush dev {CARD}")
        self._address = None

    def dhcp(self, within: float = 10, *, ask_seconds: int | None = None) -> Lease:
        """Ask for an address as a phone does when it is switched on, and take it.

        The client then stays, and renews the lease as a phone does. ``ask_seconds`` is a
        lease time to ask for; else the server chooses.

        Raises:
            NoLeaseError: no server gave one in ``within`` seconds.
        """
        self._end_client()
        self.unconfigure()
        self._client = DhcpClient(self._namespace, CARD, self.name, ask_seconds)
        try:
            lease = self._client.bound(within)
        except BaseException:
            self._end_client()
            raise
        return self._take(lease)

    def renew(self, within: float = 10) -> Lease:
        """Ask for the lease's renewal before its time.

        Raises:
            NoLeaseError: it was not renewed within that many seconds.
        """
        return self._take(self._leasing_client().renew(within))

    def release(self, within: float = 10) -> None:
        """Give the address back to the server.

        Raises:
            ToipLabError: it has no lease.
            NoLeaseError: the client does not answer, or nobody at the server's address.
        """
        deadline = Deadline.within(within)
        self._leasing_client().release(within)
        # The packet waits for the ARP answer of its next hop; with the address it would go.
        while self.run(["ip", "neigh", "show", "nud", "incomplete"]).output:
            if deadline.passed:
                raise NoLeaseError(
                    f"phone {self.name}: no way to the server to give {self.address} back"
                )
        self._end_client()
        self.unconfigure()

    # Programs

    def run(self, argv: Sequence[str | Path], *, timeout: float = 60) -> Finished:
        """Run a program in it: its status, and its output, stderr included.

        Raises:
            ToipLabError: the program is not on this machine.
            DeadlineError: it did not end within ``timeout`` seconds; it is killed.
        """
        return self._namespace.programs.run(argv, prefix=self._namespace.enter, timeout=timeout)

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = subprocess.DEVNULL,
        stderr: Stream = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in it, as subprocess.Popen does, from any thread.

        It is to stay in the foreground, and is killed when the network ends.

        Raises:
            ToipLabError: the program is not on this machine.
        """
        return self._namespace.programs.start(
            argv,
            prefix=self._namespace.enter,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
        )

    @property
    def enter(self) -> tuple[str, ...]:
        """The words that run a program in it, for a person who wants a look: nsenter(1)."""
        return self._namespace.enter

    def _take(self, lease: Lease) -> Lease:
        before, self.lease = self.lease, lease
        if before is None or (before.interface, before.router) != (lease.interface, lease.router):
            self.configure(lease.interface, lease.router)
        return lease

    def _leasing_client(self) -> DhcpClient:
        if self._client is None:
            raise ToipLabError(f"phone {self.name} has no lease")
        return self._client

    def _end_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self.lease = None
