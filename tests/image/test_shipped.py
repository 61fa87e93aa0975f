"""The disk in the OVA that ships: QEMU and our reader see the same, and find nothing amiss."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from toiplab.bench import vmdk as bench
from toiplab.image import vmdk_reader
from toiplab.image.ova import Ova, open_ova

pytestmark = pytest.mark.boot  # it wants an OVA that was built

SLICE = 64 << 20  # of the disk: two grain tables, and little enough for best


@pytest.fixture(scope="module")
def shipped(ova: Path) -> Ova:
    return open_ova(ova)


@pytest.fixture(scope="module")
def raw(shipped: Ova, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk, as our reader takes it out of the OVA."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    vmdk_reader.extract(shipped.path, path, offset=shipped.disk.offset, size=shipped.disk.size)
    return path


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def test_qemu_finds_no_fault_and_the_same_disk(shipped: Ova, raw: Path) -> None:
    qemu_img("check", shipped.backing())
    qemu_img("compare", "-f", "raw", raw, shipped.backing())


def test_every_writer_writes_it_again(raw: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.raw"
    with raw.open("rb") as disk:
        part.write_bytes(disk.read(SLICE))

    sizes = {}
    for name, write in bench.WRITERS.items():
        written = tmp_path / f"{name}.vmdk"
        write(part, written)
        qemu_img("compare", "-f", "raw", "-F", "vmdk", part, written)
        sizes[name] = written.stat().st_size
    assert sizes["best"] < sizes["fast"] <= sizes["qemu-img"]
