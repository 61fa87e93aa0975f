"""The repository on loopback: what apt makes of it is the package set, nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.archive.layout import Deb, build
from toiplab.bench.repository import Repository, repository
from toiplab.builders.apt import Apt
from toiplab.builders.indexes import Package, read_indexes
from toiplab.builders.packages import PackageSet
from toiplab.errors import ToipLabError
from toiplab.releases import BULLSEYE

WANTED, UNWANTED = Deb("pbx", "1:16-main"), Deb("pbx", "1:16-sec")


def package(deb: Deb, debs: Path, lists: Path) -> Package:
    """Make a package, and have the indexes list it."""
    size, sha256 = 0, ""
    made = Package(deb.name, deb.version, "amd64", deb.name, deb.version, "s", sha256, size, "")
    path = build(deb, debs / made.file_name)
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    with (lists / "mirror_main_Packages").open("a", encoding="utf-8") as index:
        index.write(
            f"{deb.control()}Filename: pool/p/{deb.name}.deb\nSize: {len(content)}\n"
            f"SHA256: {sha256}\n\n"
        )
    return replace(made, sha256=sha256, size=len(content))


@pytest.fixture
def package_set(tmp_path: Path) -> PackageSet:
    debs, lists = tmp_path / "debs", tmp_path / "lists"
    debs.mkdir()
    lists.mkdir()
    wanted = package(WANTED, debs, lists)
    package(UNWANTED, debs, lists)
    return PackageSet(
        release=BULLSEYE,
        sources=(),
        packages=(wanted,),
        substitutions=(),
        indexes=(),
        epoch=1_700_000_000,
        preferences="",
        debs=debs,
        lists=lists,
    )


def private_apt(folder: Path, served: Repository) -> Apt:
    apt = Apt(folder / "apt", folder / "downloads", folder / "log")
    apt.prepare([served.source], release=BULLSEYE)
    return apt


def test_apt_trusts_it_and_sees_the_set(
    package_set: PackageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with repository(package_set, tmp_path / "published") as served:
        apt = private_apt(tmp_path, served)
        apt.update("the repository")
        found = read_indexes(apt)
        fetched = apt.run("apt-get", "--yes", "--download-only", "install", "pbx")

    assert set(found.packages) == {("pbx", "1:16-main")}
    assert found.epoch == package_set.epoch
    assert fetched.status == 0, fetched.said
    (deb,) = (tmp_path / "downloads").glob("*.deb")
    assert hashlib.sha256(deb.read_bytes()).hexdigest() == package_set.packages[0].sha256


def test_a_changed_index_is_not_trusted(
    package_set: PackageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with repository(package_set, tmp_path / "published") as served:
        release = tmp_path / "published/dists/bullseye/InRelease"
        release.write_text(release.read_text().replace("Origin: toip-lab", "Origin: other"))
        with pytest.raises(ToipLabError, match="signature"):
            private_apt(tmp_path, served).update("the repository")


def test_a_package_that_no_index_has(package_set: PackageSet, tmp_path: Path) -> None:
    (stranger,) = package_set.packages
    unknown = replace(package_set, packages=(replace(stranger, sha256="0" * 64),))

    with pytest.raises(ToipLabError, match="no index has pbx"), repository(unknown, tmp_path / "p"):
        pass
