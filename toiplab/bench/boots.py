"""The contest about booting: from power-on to the first answer to a SIP request."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from toiplab.bench.boot import boot
from toiplab.bench.contest import Contest, Contestant, Measured
from toiplab.hardware import Hardware
from toiplab.image.ova import open_ova
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk

BOOT = "boot"


def boots(ova: Path, plain: Path, *, rounds: int) -> Contest:
    """Booting an OVA, beside a raw disk that holds the same packages; that one is the first."""
    opened = open_ova(ova)
    disks = (
        ("plain Debian", "the same packages, as apt leaves them", Disk(str(plain), "raw")),
        (
            "toip-lab",
            "the OVA's first boot, keys and identity made in it",
            Disk(opened.backing(), "vmdk"),
        ),
    )
    return Contest(
        BOOT,
        "From power-on to the first SIP answer, in QEMU without KVM",
        tuple(
            Contestant(
                name,
                does,
                partial(_measure, name, opened.hardware, disk),
                ours=name == "toip-lab",
            )
            for name, does, disk in disks
        ),
        rounds,
    )


def _measure(name: str, hardware: Hardware, disk: Disk, folder: Path) -> Measured:
    with Machine(hardware, disk, folder, accelerator="tcg") as machine:
        booted = boot(name, machine)
    return Measured(booted.seconds, booted.processor)
