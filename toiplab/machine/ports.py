"""The host's side of the port forwards: are the ports free, and if not, who holds them?"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from toiplab.errors import ToipLabError
from toiplab.hardware import Forward, Hardware, Protocol

SOCKET_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
LOOPBACK = IPv4Address("127.0.0.1")
SHOWN = 3  # another machine of this kind holds all forty of them


def forward_named(hardware: Hardware, name: str) -> Forward:
    """The port forward of that name (row V4).

    Raises:
        ToipLabError: there is none.
    """
    for forward in hardware.forwards:
        if forward.name == name:
            return forward
    raise ToipLabError(f"the OVF has no forward named {name!r}")


def reached_at(forward: Forward) -> IPv4Address:
    """Where the host itself finds a forward: loopback, if it listens on every address."""
    return LOOPBACK if forward.host_address.is_unspecified else forward.host_address


def check_free(forwards: Iterable[Forward]) -> None:
    """Check that QEMU will be able to listen on the host's port of every forward.

    Raises:
        ToipLabError: naming the forwards that cannot be had, each with its address, port
            and protocol, and the program that holds it where that can be told.
    """
    troubles = [trouble for forward in forwards if (trouble := _trouble(forward))]
    if troubles:
        shown, more = troubles[:SHOWN], len(troubles) - SHOWN
        raise ToipLabError(
            "\n".join([*shown, f"and {more} more forwards"] if more > 0 else shown),
            hint="stop what holds it, or give another in the lab file (networks.nat) and build",
        )


def _trouble(forward: Forward) -> str:
    """Why this forward cannot be had; empty when it can.

    A tcp port is tried with SO_REUSEADDR, as QEMU takes it: connections that linger in
    TIME_WAIT are no obstacle, a listener is (socket(7)).
    """
    where = f"{forward.host_address}:{forward.host_port}/{forward.protocol}"
    what = f'{where} (forward "{forward.name}")'
    with socket.socket(socket.AF_INET, SOCKET_TYPES[forward.protocol]) as trial:
        if forward.protocol == "tcp":
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((str(forward.host_address), forward.host_port))
        except OSError as error:
            match error.errno:
                case errno.EADDRINUSE:
                    held_by = holder(forward.protocol, forward.host_port)
                    return f"port already taken: {what}{held_by and f', by {held_by}'}"
                case errno.EADDRNOTAVAIL:
                    return f"not an address of this machine: {what}"
                case errno.EACCES:
                    return f"only root may listen there: {what}"
                case _:
                    return f"cannot listen there: {what}: {error.strerror}"
    return ""


def holder(protocol: Protocol, port: int) -> str:
    """The program on a local port, such as ``asterisk (pid 12)``; empty if it cannot be told.

    Reads the socket tables and the open files of the processes, proc(5): those of other
    users show only to root.
    """
    links = {f"socket:[{inode}]" for inode in _inodes(protocol, port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(file.readlink()) in links for file in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                return f"{name} (pid {process.name})"
        except OSError:  # ended meanwhile, or not ours to look into
            continue
    return ""


def _inodes(protocol: Protocol, port: int) -> set[str]:
    found = set()
    for table in (Path(f"/proc/net/{protocol}"), Path(f"/proc/net/{protocol}6")):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            local, inode = fields[1], fields[9]
            if int(local.rpartition(":")[2], 16) == port and inode != "0":
                found.add(inode)
    return found
