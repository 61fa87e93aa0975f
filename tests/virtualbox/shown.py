"""What ``VBoxManage showvminfo --machinereadable`` shows of a machine, and what it must show."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, fields
from pathlib import Path

from tests.virtualbox.chroot import VirtualBox
from toiplab.builders.packer.virtualbox import forward_rule
from toiplab.hardware import Hardware, NatAdapter
from toiplab.image.ova import open_ova

VALUE = re.compile(r'^"?([^"=\n]+)"?="?(.*?)"?$', re.MULTILINE)
BOOT_DEVICES = {"HardDisk": "disk", "DVD": "dvd"}
ADAPTERS = range(1, 9)


@dataclass(frozen=True)
class Shown:
    """A machine in VirtualBox's words.

    ``memory`` is in MiB; ``storage`` has "controller, its type, port, device, medium";
    ``adapters`` "kind, card, network"; ``forwards`` the rules as VirtualBox writes them.
    """

    name: str
    os_type: str
    memory: int
    cpus: int
    boot: tuple[str, ...]
    storage: frozenset[tuple[str, str, str, str, str]]
    adapters: tuple[tuple[str, str, str], ...]
    forwards: frozenset[str]
    audio: str
    utc: bool


def read(text: str) -> Shown:
    """Read what showvminfo printed."""
    told = dict(VALUE.findall(text))
    return Shown(
        name=told["name"],
        os_type=told["ostype"],
        memory=int(told["memory"]),
        cpus=int(told["cpus"]),
        boot=tuple(told[f"boot{n}"] for n in range(1, 5) if told[f"boot{n}"] != "none"),
        storage=frozenset(_storage(told)),
        adapters=tuple(_adapter(told, n) for n in ADAPTERS if told.get(f"nic{n}") != "none"),
        forwards=frozenset(rule for key, rule in told.items() if key.startswith("Forwarding(")),
        audio=told["audio"],
        utc=told["rtcuseutc"] == "on",
    )


def imported(box: VirtualBox, ova: Path) -> Shown:
    """Import an OVA and read the machine back."""
    given = Path(shutil.copy(ova, box.folder))  # where it can see it
    box.run("import", str(given))
    given.unlink()
    return read_back(box, open_ova(ova).hardware.name)


def read_back(box: VirtualBox, name: str) -> Shown:
    return read(box.run("showvminfo", name, "--machinereadable"))


def _storage(told: dict[str, str]) -> list[tuple[str, str, str, str, str]]:
    controllers = {
        told[key]: told[key.replace("name", "type")]
        for key in told
        if key.startswith("storagecontrollername")
    }
    found = []
    for key, medium in told.items():
        place = re.fullmatch(r"(.+)-(\d+)-(\d+)", key)
        if place and place[1] in controllers and medium != "none":
            name, port, device = place.groups()
            found.append((name, controllers[name], port, device, medium.rpartition("/")[2]))
    return found


def _adapter(told: dict[str, str], number: int) -> tuple[str, str, str]:
    network = told.get(f"intnet{number}", told.get(f"bridgeadapter{number}", ""))
    return told[f"nic{number}"], told[f"nictype{number}"], network


def wanted(hardware: Hardware, disk: str) -> Shown:
    """What must be shown of a machine whose disk has that file name (rows V1 to V5)."""
    return Shown(
        name=hardware.name,
        os_type="Debian (64-bit)",
        memory=hardware.memory,
        cpus=hardware.cpus,
        boot=tuple(BOOT_DEVICES[device] for device in hardware.boot_order),
        storage=frozenset(
            {
                ("IDE", "PIIX4", "0", "0", "emptydrive"),
                ("SATA", "IntelAhci", "0", "0", disk),
            }
        ),
        adapters=tuple(
            ("nat", "82540EM", "")
            if isinstance(adapter, NatAdapter)
            else ("intnet", "82540EM", adapter.network)
            for adapter in hardware.adapters
        ),
        forwards=frozenset(map(forward_rule, hardware.forwards)),
        audio="none",
        utc=True,
    )


def differing(one: Shown, other: Shown) -> list[str]:
    """The names of the fields in which two machines differ."""
    return [
        field.name
        for field in fields(Shown)
        if getattr(one, field.name) != getattr(other, field.name)
    ]
