"""The other tools that make a bootable image, each with its recipe in ``scripts/bench/``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toiplab import files, host
from toiplab.bench.contest import Contestant, Measured, allocated, timed
from toiplab.bench.ground import Ground
from toiplab.bench.workshop import Workshop
from toiplab.errors import ToipLabError

GIB = 8  # of each disk: the default lab's own
IMAGE = "disk.raw"
KEYRING = "repository.gpg"
PACKAGES = "packages"


@dataclass(frozen=True)
class Recipe:
    """A tool, named as its recipe is.

    ``tools`` are the packages of the workshop that it needs, its own first; ``wants`` what it
    puts into every image, whoever asked for it.
    """

    name: str
    does: str
    tools: tuple[str, ...]
    wants: tuple[str, ...] = ()


RECIPES = (
    Recipe(
        "mmdebstrap-autopkgtest-build-qemu",
        "raw disk, EFI stub, no root needed",
        (
            *("mmdebstrap", "autopkgtest", "uidmap", "dpkg-dev", "systemd-boot-efi", "binutils"),
            *("dosfstools", "e2fsprogs", "fdisk", "mtools", "uuid-runtime", "libarchive13t64"),
        ),
        wants=("eatmydata", "dpkg-dev"),
    ),
    Recipe(
        "fai-diskimage",
        "raw disk on a loop device, GRUB",
        (
            *("fai-server", "fai-setup-storage", "qemu-utils", "debootstrap", "e2fsprogs"),
            *("kmod", "udev", "zerofree"),
        ),
    ),
    Recipe(
        "mkosi",
        "raw disk by systemd-repart, GRUB",
        (
            *("mkosi", "systemd-repart", "systemd-container", "grub-pc-bin", "grub2-common"),
            *("dosfstools", "e2fsprogs", "mtools", "cpio", "kmod", "udev", "zstd"),
        ),
    ),
    Recipe(
        "vmdb2",
        "raw disk through device-mapper, GRUB",
        ("vmdb2", "debootstrap", "kpartx", "parted", "qemu-utils", "e2fsprogs", "zerofree"),
    ),
)
TOOLS = tuple(sorted({package for recipe in RECIPES for package in recipe.tools}))
WANTS = tuple(sorted({package for recipe in RECIPES for package in recipe.wants}))


def contestant(recipe: Recipe, shop: Workshop | ToipLabError, ground: Ground) -> Contestant:
    """A tool that makes an image of the ground's packages in the workshop.

    Where there is no workshop, the reason is the contestant's too.
    """
    does, package = recipe.does, recipe.tools[0]
    if isinstance(shop, Workshop):
        does = f"{does} ({package} {shop.version(package)})"
    return Contestant(recipe.name, does, partial(_measure, recipe, shop, ground), once=True)


def _measure(
    recipe: Recipe, shop: Workshop | ToipLabError, ground: Ground, folder: Path
) -> Measured:
    if isinstance(shop, ToipLabError):
        raise shop
    files.link_or_copy(ground.repository.keyring, folder / KEYRING)
    folder.chmod(0o755)
    settings = {
        "MIRROR": ground.repository.url,
        "CODENAME": ground.repository.codename,
        "KEYRING": f"/bench/{KEYRING}",
        "PACKAGES": " ".join(ground.names),
        "IMAGE": f"/bench/{IMAGE}",
        "GIB": str(GIB),
    }
    with timed() as watch:
        shop.work(recipe.name, folder, settings, log=ground.logs / f"{recipe.name}.log")
    return watch.measured(allocated(folder / IMAGE))


def floor(ground: Ground) -> Contestant:
    """``mmdebstrap`` alone, which makes a tar that boots nowhere: no image can cost less."""
    return Contestant("mmdebstrap", "a tar of the packages alone", partial(_floor, ground))


def _floor(ground: Ground, folder: Path) -> Measured:
    host.require("mmdebstrap")
    root = folder / "root.tar"
    folder.chmod(0o755)
    with timed() as watch:
        host.run(
            [
                *("mmdebstrap", "--variant=apt", f"--include={','.join(ground.names)}"),
                *(ground.repository.codename, root, ground.repository.source),
            ],
            log=ground.logs / "mmdebstrap.log",
            env={"TMPDIR": str(host.temporary_folder()), "no_proxy": "127.0.0.1"},
            cwd=Path("/"),
        )
    return watch.measured(allocated(root))
