"""A phone as a check uses it, wherever it stands: behind the NAT forwards or in the lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from toiplab.errors import ToipLabError
from toiplab.phones.sound import Recording

SIP_PORT = 5060
LOOPBACK = IPv4Address("127.0.0.1")

Runner = Callable[[Sequence[str]], list[str]]
"""Turns a command into one that runs it where the phone stands, such as a network namespace.

What it puts before the command must become that command (exec), with the descriptors it was
given: ``nsenter --net=…`` does, and ``ip netns exec``.
"""


def on_the_host(argv: Sequence[str]) -> list[str]:
    """The runner of a phone that stands on the host itself."""
    return list(argv)


@dataclass(frozen=True)
class Place:
    """Where a phone stands: its own address, and the SIP server as it is reached from there."""

    server: IPv4Address
    port: int = SIP_PORT
    address: IPv4Address = LOOPBACK
    runner: Runner = on_the_host


class PhoneError(ToipLabError):
    """A phone did not see what was waited for; the message tells what it saw instead."""


class PhoneBrokenError(ToipLabError):
    """A phone's program does not do its part: nothing can be said of the appliance."""


@dataclass(frozen=True)
class Account:
    """What is typed into a phone: its number, its secret, and the server it belongs to.

    Without a server, the phone calls other phones directly.
    """

    number: str
    secret: str = field(default="", repr=False)
    server: IPv4Address | None = None
    port: int = SIP_PORT

    def address_of(self, number: str) -> str:
        """The SIP address (RFC 3261 section 19.1) of a number at this phone's server."""
        return f"sip:{number}@{self.server}:{self.port}"


class Handset(Protocol):
    """A telephone that speaks with one tone and keeps what it hears.

    Waits are in seconds, and raise PhoneError when they are in vain; every method raises
    PhoneBrokenError once the phone's program has ended.
    """

    number: str
    tone: int

    def register(self, within: float = ...) -> None:
        """Wait until the server has let the phone in."""

    def call(self, number: str) -> None:
        """Dial."""

    def wait_ringing(self, within: float = ...) -> float:
        """Wait until the other side rings; when it did (monotonic clock)."""

    def wait_for_call(self, within: float = ...) -> float:
        """Wait until somebody calls; when it rang (monotonic clock)."""

    def answer(self) -> None:
        """Take the call that rings, and wait until it stands."""

    def wait_established(self, within: float = ...) -> float:
        """Wait until the call stands; when it did (monotonic clock)."""

    def wait_closed(self, within: float = ...) -> str:
        """Wait until the call is over; why, in the program's or the server's words."""

    def press(self, digits: str) -> None:
        """Press keys during a call: RFC 4733 events (formerly RFC 2833)."""

    def hang_up(self) -> None:
        """End the call, or refuse the one that rings."""

    def wait_message_light(self, at_least: int = ..., within: float = ...) -> int:
        """Wait until the phone was told of so many new messages (RFC 3842); how many they are."""

    def listen(self, seconds: float) -> Recording:
        """What is heard in the next seconds; shorter where less sound arrives."""

    def recording(self) -> Recording:
        """All that was heard since this phone last dialled or was called."""


class Phones(Protocol):
    """Where phones come from; may be used by many threads."""

    def place(self, number: str) -> Place:
        """Where the phone of that number stands.

        Raises:
            ToipLabError: it got no address there.
        """

    def phone(
        self, number: str, folder: Path, *, tone: int, message_light: bool = False
    ) -> AbstractContextManager[Handset]:
        """A phone with that number's account, switched on; it is gone after the block.

        What it hears and says is kept in ``folder``. Only with ``message_light`` does it ask
        the server to be told of messages.
        """
