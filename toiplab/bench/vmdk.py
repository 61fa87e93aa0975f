"""Who writes a disk's streamOptimized VMDK: ours at each compression, and qemu-img."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from toiplab import host
from toiplab.image import vmdk
from toiplab.image.vmdk import Compression


def with_qemu_img(raw: Path, target: Path) -> None:
    """Write a raw disk's VMDK as most projects do.

    Raises:
        ToipLabError: qemu-img is missing, or it failed.
    """
    options = ("-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized")
    host.run(["qemu-img", "convert", *options, raw, target])


def fast(raw: Path, target: Path) -> None:
    """Write it as every build does.

    Raises:
        ToipLabError: a file cannot be read or written.
    """
    vmdk.write(raw, target, compression=Compression.FAST)


def best(raw: Path, target: Path) -> None:
    """Write it as a release may.

    Raises:
        ToipLabError: a file cannot be read or written.
    """
    vmdk.write(raw, target, compression=Compression.BEST)


WRITERS: Mapping[str, Callable[[Path, Path], None]] = {
    "qemu-img": with_qemu_img,
    "fast": fast,
    "best": best,
}
