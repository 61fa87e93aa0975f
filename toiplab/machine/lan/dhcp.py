"""A real DHCP client for one phone: busybox's udhcpc, and what the server sent it.

udhcpc runs a script at each event and does nothing else with what it learns; ours prints
it. So the host's resolv.conf and interfaces stay as they are.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Self

from toiplab.machine.lan.namespaces import Namespace
from toiplab.machine.lan.programs import end
from toiplab.machine.waiting import Deadline, GuestError

SCRIPT = Path(__file__).with_name("dhcp-event.sh")
# Two seconds between DISCOVERs, and no end of them: ISC's server looks whether an address
# is in use for one second before it offers it.
TIMING = ("-T", "2", "-t", "1000000")

Event = Mapping[str, str]


class NoLeaseError(GuestError):
    """No server gave the phone an address; the message tells what happened instead."""


@dataclass(frozen=True)
class Lease:
    """What the server's DHCPACK said (RFC 2131; options of RFC 2132); None: not sent.

    ``seconds`` is the lease time, ``dns`` is empty when no server was named.
    """

    address: IPv4Address
    server: IPv4Address | None
    seconds: int | None
    netmask: IPv4Address | None
    router: IPv4Address | None
    broadcast: IPv4Address | None
    dns: tuple[IPv4Address, ...]
    domain: str | None

    @classmethod
    def parse(cls, event: Event) -> Self:
        """The lease in udhcpc's variables."""

        def addresses(name: str) -> tuple[IPv4Address, ...]:
            return tuple(map(IPv4Address, event.get(name, "").split()))

        def first(name: str) -> IPv4Address | None:
            return next(iter(addresses(name)), None)

        return cls(
            address=IPv4Address(event["ip"]),
            server=first("serverid"),
            seconds=int(event["lease"]) if "lease" in event else None,
            netmask=first("subnet"),
            router=first("router"),
            broadcast=first("broadcast"),
            dns=addresses("dns"),
            domain=event.get("domain"),
        )

    @property
    def interface(self) -> IPv4Interface:
        """The address with its network; without a netmask, a network of one."""
        return IPv4Interface(f"{self.address}/{self.netmask or 32}")


class DhcpClient:
    """One udhcpc, in the foreground, on one card; ``hostname`` is what it calls itself."""

    def __init__(
        self, namespace: Namespace, card: str, hostname: str, ask_seconds: int | None
    ) -> None:
        self._hostname = hostname
        options = ["-i", card, "-x", f"hostname:{hostname}"]
        if ask_seconds is not None:
            options += ["-x", f"lease:{ask_seconds}"]
        self._output, theirs = socket.socketpair()
        with theirs:
            self._process = namespace.programs.start(
                ["busybox", "udhcpc", "-f", "-s", SCRIPT, *TIMING, *options],
                prefix=namespace.enter,
                stdout=theirs.fileno(),
                stderr=theirs.fileno(),
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        self._unread = b""
        self._said: list[str] = []

    def bound(self, within: float) -> Lease:
        """Wait until it has an address; see ``Phone.dhcp``."""
        return Lease.parse(self._wait_for("bound", within))

    def renew(self, within: float) -> Lease:
        """Have it renew its lease, udhcpc's SIGUSR1."""
        while self._event(Deadline.within(0)):
            pass  # told of what it did by itself
        self._process.send_signal(signal.SIGUSR1)
        return Lease.parse(self._wait_for("renew", within))

    def release(self, within: float) -> None:
        """Have it give its address back, udhcpc's SIGUSR2."""
        self._process.send_signal(signal.SIGUSR2)
        self._wait_for("deconfig", within)

    def close(self) -> None:
        """End it; the lease stays as it is."""
        end(self._process)
        self._output.close()

    def _wait_for(self, wanted: str, within: float) -> Event:
        self._said.clear()
        deadline = Deadline.within(within)
        while event := self._event(deadline):
            if event["event"] == wanted:
                return event
        raise NoLeaseError(
            f"phone {self._hostname}: no address by DHCP within {within:g} s; the client said:"
            + "".join(f"\n  | {line}" for line in self._said)
        )

    def _event(self, deadline: Deadline) -> Event | None:
        """The next event; None when the client has ended, or the time is over."""
        event: dict[str, str] = {}
        while (line := self._line(deadline)) is not None:
            name, _, value = line.partition("=")
            if not line and event:
                return event
            if name == "event" or event:
                event[name] = value
            else:
                self._said.append(line)
        return None

    def _line(self, deadline: Deadline) -> str | None:
        while b"\n" not in self._unread:
            self._output.settimeout(deadline.remaining)
            try:
                new = self._output.recv(1 << 16)
            except (TimeoutError, BlockingIOError):
                return None
            if not new:
                return None
            self._unread += new
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")
