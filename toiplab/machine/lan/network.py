"""The lab network: a bridge in a namespace, with the machine and the phones plugged in.

with LabNetwork.open() as lan, candidate.machine(logs, lan=lan, …) as machine:
    machine.boot()
    phone = lan.phone("A")
    lease = phone.dhcp()
    phone.run(["sipsak", "-s", "sip:192.168.10.1"])
"""

from __future__ import annotations

import itertools
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from toiplab.errors import ToipLabError
from toiplab.hardware import InternalAdapter
from toiplab.machine.commandline import escape
from toiplab.machine.lan import capture, preconditions, tap
from toiplab.machine.lan.namespaces import Namespace
from toiplab.machine.lan.phone import Phone
from toiplab.machine.lan.programs import Programs

BRIDGE = "lab"


class LabNetwork:
    """A switch that leads nowhere but to the machine and to its phones.

    Nothing of it is seen from outside, and nothing leaves it: the bridge and every phone
    have a network namespace of their own, with no way to the host's interfaces. QEMU stays
    outside (its NAT needs the host's network) and has only a tap inside. All of it is gone
    after the block, and also when this process is killed. It may be used by many threads.
    """

    def __init__(self, namespace: Namespace, programs: Programs) -> None:
        self._namespace = namespace
        self._programs = programs
        self._phones: dict[str, Phone] = {}
        self._numbers = itertools.count(1)
        self._name: str | None = None

    @classmethod
    def open(cls) -> LabNetwork:
        """Make the network, as root or as an ordinary user in a user namespace.

        Raises:
            ToipLabError: it cannot be made here; the message has all that is missing.
        """
        preconditions.check()
        programs = Programs()
        try:
            namespace = Namespace.create(programs)
            namespace.ip(
                f"link add {BRIDGE} type bridge mcast_snooping 0",
                f"link set {BRIDGE} addrgenmode none",
                f"link set {BRIDGE} up",
            )
        except BaseException:
            programs.close()
            raise
        return cls(namespace, programs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything that runs in it, and let go of it."""
        self._programs.close()
        for phone in self._phones.values():
            phone.close()
        self._namespace.close()

    def phone(self, name: str) -> Phone:
        """Plug in a phone, with a MAC address of its own, that nothing runs in yet.

        ``name`` is at most twelve letters, digits and dashes, and is not taken yet.

        Raises:
            ToipLabError: it cannot be plugged in.
        """
        if name in self._phones:
            raise ToipLabError(f"there is a phone {name} on the lab network already")
        phone = Phone.plug_in(name, next(self._numbers), self._namespace, BRIDGE)
        self._phones[name] = phone
        return phone

    @contextmanager
    def capture(self, file: Path) -> Iterator[None]:
        """Record, into a pcap file, all that goes over the bridge during the block.

        Each frame is there once, to the very last. Checksums that a card would have filled
        in are not filled in yet.

        Raises:
            ToipLabError: the file cannot be written, or a frame was lost.
        """
        with capture.recording(self._namespace, BRIDGE, file):
            yield

    def netdev(self, ident: str, adapter: InternalAdapter) -> str:
        """The argument of QEMU's ``-netdev`` that plugs an adapter into the bridge.

        Raises:
            ToipLabError: the adapter is on another internal network than those before it.
        """
        if adapter.network != (self._name or adapter.network):
            raise ToipLabError(f"one lab network cannot be {self._name} and {adapter.network}")
        self._name = adapter.network
        python = (sys.executable, "-I", tap.__file__, f"--br={BRIDGE}")
        helper = shlex.join([*self._namespace.enter, *python])
        return f"tap,id={ident},helper={escape(helper)}"

    @property
    def enter(self) -> tuple[str, ...]:
        """The words that run a program beside the bridge, for a look at it: nsenter(1)."""
        return self._namespace.enter
