"""Writing a disk's streamOptimized VMDK: ours at each compression, beside qemu-img."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.image import vmdk
from toiplab.image.vmdk import Compression
from toiplab.progress import Progress


@dataclass(frozen=True)
class Written:
    """A VMDK that was written: by whom, in how many seconds, and how large it is in bytes."""

    name: str
    seconds: float
    size: int


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


def measure(raw: Path, folder: Path, progress: Progress) -> tuple[Written, ...]:
    """Write a raw disk's VMDK by each writer in turn, to ``<name>.vmdk`` in ``folder``.

    The disk is read once beforehand, so that nobody waits for it and the others do not.

    Raises:
        ToipLabError: qemu-img is missing, or a file cannot be read or written.
    """
    host.require("qemu-img")
    with progress.step(f"Read {raw.name}"):
        host.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", raw, raw])
    return tuple(_measure(name, raw, folder / f"{name}.vmdk", progress) for name in WRITERS)


def _measure(name: str, raw: Path, target: Path, progress: Progress) -> Written:
    with progress.step(name):
        started = time.monotonic()
        WRITERS[name](raw, target)
        seconds = time.monotonic() - started
    return Written(name, seconds, target.stat().st_size)
