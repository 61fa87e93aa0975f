"""From a disk to what is handed out: the OVA, its manifest and its package list."""

from __future__ import annotations

import errno
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from toiplab import manifest, releases
from toiplab.builders import pack as packing
from toiplab.builders.contract import Project, Request
from toiplab.builders.indexes import Index, Package
from toiplab.builders.pack import Built, pack
from toiplab.builders.packages import PackageSet, Substitution
from toiplab.builders.sources import Source
from toiplab.host import PROJECT
from toiplab.image import vmdk
from toiplab.image.ova import open_ova
from toiplab.image.vmdk import Compression
from toiplab.progress import Progress

ARCHIVE = "http://archive.debian.org/debian"
SHA256 = "ab" * 32


def package(name: str, version: str) -> Package:
    return Package(name, version, "amd64", name, version, "buster", SHA256, 1, f"pool/{name}.deb")


@pytest.fixture
def built(tmp_path: Path) -> Built:
    (tmp_path / "labs").mkdir()
    lab_file = Path(shutil.copy(PROJECT / "labs" / "isi.yml", tmp_path / "labs"))
    package_set = PackageSet(
        release=releases.BUSTER,
        sources=(Source(ARCHIVE, "buster"),),
        packages=(package("asterisk", "1:16-main"), package("vim", "2")),
        substitutions=(
            Substitution("asterisk", "1:16-security", ("a.deb",), "1:16-main", ("asterisk",)),
        ),
        indexes=(Index(f"{ARCHIVE}/dists/buster/InRelease", SHA256),),
        epoch=1662805020,
        preferences="",
        debs=tmp_path,
        lists=tmp_path,
    )
    request = Request.read(lab_file, project=Project(tmp_path))
    return Built("direct", request, package_set, ("mke2fs",))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A disk of 1 MiB that holds a little."""
    path = tmp_path / "scratch" / "disk.raw"
    path.parent.mkdir()
    path.write_bytes(b"toip-lab".ljust(1 << 20, b"\0"))
    return path


def test_what_lies_in_dist_afterwards(built: Built, raw: Path) -> None:
    progress = Progress()
    target = pack(built, raw, progress)

    assert sorted(path.name for path in target.parent.iterdir()) == [
        "toip-lab-isi-debian10.13.manifest.json",
        "toip-lab-isi-debian10.13.ova",
        "toip-lab-isi-debian10.13.packages.txt",
    ]
    assert target.with_suffix(".packages.txt").read_text() == "asterisk 1:16-main\nvim 2\n"
    assert not list(raw.parent.iterdir())
    assert open_ova(target).hardware == built.request.lab.hardware


def test_the_manifest_tells_all_that_went_in(built: Built, raw: Path) -> None:
    target = pack(built, raw, Progress())
    kept = manifest.read(target)

    assert kept.ova_sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert kept.ova_bytes == target.stat().st_size
    assert kept.inputs_sha256 == built.request.digest()
    assert (kept.lab.name, kept.lab.file) == ("isi", "labs/isi.yml")
    assert (kept.release, kept.debian, kept.epoch) == ("buster", "10.13", 1662805020)
    assert list(kept.tools) == ["mke2fs"]
    assert [(each.source, each.taken_version) for each in kept.substitutions] == [
        ("asterisk", "1:16-main")
    ]
    assert [stage.title for stage in kept.stages] == [
        "Compress the disk into a VMDK",
        "Pack toip-lab-isi-debian10.13.ova",
    ]


@pytest.mark.parametrize("compression", Compression)
def test_the_disk_is_compressed_as_asked(built: Built, raw: Path, compression: Compression) -> None:
    raw.write_bytes(b"".join(f"{n} {n * n}\n".encode() for n in range(50_000)))
    vmdk.write(raw, raw.with_name("beside.vmdk"), compression=compression)
    asked = replace(built, request=replace(built.request, compression=compression))

    target = pack(asked, raw, Progress())

    assert open_ova(target).disk.size == raw.with_name("beside.vmdk").stat().st_size
    assert manifest.read(target).compression is compression


def test_a_package_that_was_held_back_names_the_version_there_is(built: Built, raw: Path) -> None:
    """Row I5: what apt offers on the machine is what the manifest says it will."""
    kept = manifest.read(pack(built, raw, Progress()))

    assert {each.name: each.candidate for each in kept.packages} == {
        "asterisk": "1:16-security",
        "vim": "2",
    }


@pytest.mark.parametrize("moves", range(3))
def test_an_ova_never_lies_there_without_its_manifest(
    built: Built, raw: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    """Whenever the build is killed while it puts a new OVA in the place of a former one."""
    disk = raw.read_bytes()
    target = pack(built, raw, Progress())
    raw.write_bytes(disk[::-1])
    left = iter(range(moves))
    replace_really = Path.replace

    def replacing(path: Path, to: Path) -> Path:
        seen = to.parent == target.parent and not to.name.startswith(".")
        if seen and next(left, None) is None:
            raise KeyboardInterrupt
        return replace_really(path, to)

    monkeypatch.setattr(Path, "replace", replacing)
    with pytest.raises(KeyboardInterrupt):
        pack(built, raw, Progress())

    assert not target.exists()


def test_one_that_cannot_be_described_leaves_the_former_as_it_was(
    built: Built, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = raw.read_bytes()
    target = pack(built, raw, Progress())
    before = {path: path.read_bytes() for path in target.parent.iterdir()}
    raw.write_bytes(disk[::-1])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing.manifest, "write", full)
    with pytest.raises(OSError, match="No space"):
        pack(built, raw, Progress())

    assert {path: path.read_bytes() for path in target.parent.iterdir()} == before
