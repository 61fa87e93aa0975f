"""The contests about building: a bootable image, and its disk as a VMDK."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from toiplab import host
from toiplab.bench import recipes, vmdk
from toiplab.bench.contest import Contest, Contestant, Measured, timed
from toiplab.bench.ground import Ground
from toiplab.bench.product import Copy
from toiplab.bench.workshop import Workshop
from toiplab.errors import ToipLabError
from toiplab.image.ova import open_ova

BUILDS, VMDK = "builds", "vmdk"


def images(ground: Ground, copy: Copy, shop: Workshop | ToipLabError, *, rounds: int) -> Contest:
    """Making a bootable image; the first is mmdebstrap alone, whose tar boots nowhere."""
    return Contest(
        BUILDS,
        f"A bootable image of {ground.package_set.release.title}, {len(ground.names)} packages",
        (
            recipes.floor(ground),
            Contestant(
                "toip-lab, anew",
                "OVA: packages, overlay, services, disk with GRUB, compressed VMDK (`--fresh`)",
                lambda _: copy.build("--fresh"),
                ours=True,
            ),
            Contestant(
                "toip-lab, lab changed",
                "the same OVA, its layer of packages kept",
                lambda _: copy.changed().build(),
                ours=True,
            ),
            Contestant(
                "toip-lab, nothing changed",
                "the same OVA, found to be up to date",
                lambda _: copy.built().build(),
                ours=True,
            ),
            *(recipes.contestant(recipe, shop, ground) for recipe in recipes.RECIPES),
        ),
        rounds,
    )


def compressions(raw: Path, *, rounds: int) -> Contest:
    """Writing a raw disk as the VMDK of an OVA; the first is qemu-img.

    The disk should have been read before: nobody is to wait for it where others do not.
    """
    return Contest(
        VMDK,
        "The disk as a streamOptimized VMDK",
        tuple(
            Contestant(
                name if name == "qemu-img" else f"toip-lab, {name}",
                "VMDK of the same disk",
                partial(_write, write, raw),
                ours=name != "qemu-img",
            )
            for name, write in vmdk.WRITERS.items()
        ),
        rounds,
    )


def _write(write: Callable[[Path, Path], None], raw: Path, folder: Path) -> Measured:
    target = folder / "disk.vmdk"
    with timed() as watch:
        write(raw, target)
    return watch.measured(target.stat().st_size)


def raw_disk(ova: Path, target: Path) -> Path:
    """Unpack an OVA's disk; it has been read (and is cached) afterwards.

    Raises:
        ToipLabError: the OVA cannot be read, or qemu-img is missing.
    """
    host.require("qemu-img")
    host.run(["qemu-img", "convert", "-O", "raw", open_ova(ova).backing(), target])
    return target
