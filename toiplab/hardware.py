"""The virtual machine as everybody sees it: the OVF says it, VirtualBox and QEMU build it.

One description, written by ``image.ovf`` and read back by it for ``machine``, so that the
machine the exam boots is the machine that was shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

Protocol = Literal["tcp", "udp"]

# PCI slots that VirtualBox gives its network adapters 1 to 4; the guest's names
# (enp0s3, enp0s8, …) follow from them.
ADAPTER_SLOTS = (3, 8, 9, 10)


@dataclass(frozen=True)
class Forward:
    """A NAT port forward: a port of the host that leads to a port of the guest (row V4)."""

    name: str
    protocol: Protocol
    host_address: IPv4Address
    host_port: int
    guest_port: int


@dataclass(frozen=True)
class NatAdapter:
    """An adapter behind NAT: the way to the Internet, and through the forwards, in."""

    forwards: tuple[Forward, ...] = ()


@dataclass(frozen=True)
class InternalAdapter:
    """An adapter on an internal network of VirtualBox, by name (row V5)."""

    network: str


Adapter = NatAdapter | InternalAdapter


@dataclass(frozen=True)
class Hardware:
    """What a hypervisor must give the appliance (rows V1 to V5).

    ``memory`` is in MiB; ``adapters`` are in VirtualBox's order, adapter 1 first.
    ``boot_order`` has VirtualBox's names of what is booted from; ``empty_drives`` the bus of
    each optical drive that waits for a disc.
    """

    name: str
    memory: int
    cpus: int
    adapters: tuple[Adapter, ...]
    boot_order: tuple[str, ...] = ("HardDisk", "DVD")
    empty_drives: tuple[str, ...] = ("IDE",)

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """Every port forward, of all NAT adapters."""
        return tuple(
            forward
            for adapter in self.adapters
            if isinstance(adapter, NatAdapter)
            for forward in adapter.forwards
        )


def interface_name(adapter: int) -> str:
    """The guest's name for network adapter number ``adapter`` (1 to 4): 1 is ``enp0s3``.

    systemd.net-naming-scheme(7): ``enp<bus>s<slot>``.
    """
    return f"enp0s{ADAPTER_SLOTS[adapter - 1]}"
