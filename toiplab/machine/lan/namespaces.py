"""Network namespaces without names, which are gone when nobody holds them any more.

A namespace of ``ip netns`` has a name in the file system and outlives a killed program.
These are held by nothing but descriptors of this process (namespaces(7)): however it
ends, the kernel takes them away, with every interface in them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO

from toiplab.errors import ToipLabError
from toiplab.machine.lan.programs import Programs, end

AS_USER = ("--user", "--map-root-user")


def unshare_options() -> tuple[str, ...]:
    """What unshare(1) needs for a network namespace: for all but root, a user namespace."""
    return ("--net",) if os.geteuid() == 0 else (*AS_USER, "--net")


@dataclass(frozen=True)
class Namespace:
    """A network namespace, with the user namespace that has the rights over it."""

    net: FileIO
    user: FileIO | None
    programs: Programs

    @classmethod
    def create(cls, programs: Programs) -> Namespace:
        """A new namespace, and for an ordinary user a user namespace around it.

        Raises:
            ToipLabError: the system does not allow it; the message has what it said.
        """
        with _unshared(programs, unshare_options()) as holder:
            as_root = os.geteuid() == 0
            return cls(_hold(holder, "net"), None if as_root else _hold(holder, "user"), programs)

    def beside(self) -> Namespace:
        """Another network namespace under the same rights."""
        with _unshared(self.programs, ("--net",), prefix=self.enter) as holder:
            return Namespace(_hold(holder, "net"), self.user, self.programs)

    @property
    def enter(self) -> tuple[str, ...]:
        """The words that run a program in it, from any process of this user: nsenter(1)."""
        ours = f"/proc/{os.getpid()}/fd"
        user = () if self.user is None else (f"--user={ours}/{self.user.fileno()}",)
        net = f"--net={ours}/{self.net.fileno()}"
        return ("nsenter", "--preserve-credentials", *user, net, "--")

    def ip(self, *commands: str, pass_fds: Collection[int] = ()) -> None:
        """Do commands of ``ip -batch`` in it, one after the other.

        Raises:
            ToipLabError: one fails; the message has the command and what ip said.
        """
        done = self.programs.run(
            ["ip", "-batch", "-"],
            prefix=self.enter,
            given="\n".join(commands) + "\n",
            pass_fds=pass_fds,
        )
        if done.status != 0:
            raise ToipLabError(f"ip: {done.output.strip()}\n  of: {'; '.join(commands)}")

    def close(self) -> None:
        """Let go of it; the user namespace is let go of with the last that shares it."""
        self.net.close()


def _hold(process: int, kind: str) -> FileIO:
    """A namespace of a process, held as long as the file is open."""
    return FileIO(f"/proc/{process}/ns/{kind}")


@contextmanager
def _unshared(
    programs: Programs, options: tuple[str, ...], prefix: tuple[str, ...] = ()
) -> Iterator[int]:
    """The process id of a program in new namespaces, as long as the block lasts."""
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rb") as answer:
        with theirs:
            holder = programs.start(
                ["sh", "-c", "echo && read -r _"],  # speaks once unshare has given way to it
                prefix=[*prefix, "unshare", *options, "--"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=theirs.fileno(),
            )
        try:
            said = answer.readline()
            if said != b"\n":
                raise ToipLabError((said + answer.read()).decode(errors="replace").strip())
            yield holder.pid
        finally:
            end(holder)
