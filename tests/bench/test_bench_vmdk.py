"""The VMDK bench: every writer writes the same disk, and each is timed and weighed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from toiplab import host
from toiplab.bench import builds
from toiplab.bench import vmdk as bench
from toiplab.bench.run import hold
from toiplab.errors import ToipLabError
from toiplab.image import vmdk_reader
from toiplab.progress import Progress

MIB = 1 << 20


def disk(folder: Path) -> Path:
    """A sparse disk of 8 MiB that holds text."""
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(8 * MIB)
        file.seek(3 * MIB)
        file.write(b"".join(f"{n} {n * n}\n".encode() for n in range(50_000)))
    return raw


@pytest.mark.skipif(host.which("qemu-img") is None, reason="qemu-img is not installed")
def test_each_writes_the_disk(tmp_path: Path) -> None:
    raw = disk(tmp_path)

    outcome = hold(builds.compressions(raw, rounds=1), Progress(), scratch=tmp_path)

    names = [each.name.removeprefix("toip-lab, ") for each in outcome.standings]
    assert names == list(bench.WRITERS)
    assert all(each.median > 0 for each in outcome.standings)
    sizes = dict(zip(names, (each.size for each in outcome.standings), strict=True))
    assert sizes["best"] < sizes["fast"]
    for name, write in bench.WRITERS.items():
        written = tmp_path / f"{name}.vmdk"
        write(raw, written)
        assert sizes[name] == written.stat().st_size
        compare = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", raw, written]
        subprocess.run(compare, check=True, capture_output=True)


def test_without_qemu_img_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "which", lambda _: None)
    with pytest.raises(ToipLabError, match="missing on this machine: qemu-img"):
        builds.raw_disk(tmp_path / "of.ova", tmp_path / "disk.raw")


@pytest.mark.skipif(host.which("qemu-img") is None, reason="qemu-img is not installed")
def test_what_qemu_img_writes_is_no_stream(tmp_path: Path) -> None:
    """Its directory stands in front, and no footer and no end of stream behind the grains."""
    written = tmp_path / "disk.vmdk"
    bench.with_qemu_img(disk(tmp_path), written)
    with pytest.raises(ToipLabError) as error:
        vmdk_reader.verify(written)
    assert error.value.message == (
        f"{written}: broken VMDK at byte 0: the header is not a streamOptimized VMDK's"
    )
