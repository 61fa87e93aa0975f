"""Resolving and fetching from an archive laid out as 10.13's is."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from tests.archive.layout import BUSTER, BUSTER_SECURITY, EPOCH, DebianArchive
from tests.builders.conftest import MAIN, SECURITY, Screen, Signers
from toiplab.builders.indexes import Package
from toiplab.builders.packages import PackageSet, Substitution, resolve
from toiplab.builders.sources import Chosen, choose, sources_of
from toiplab.errors import ToipLabError
from toiplab.releases import Release

PBX = ("pbx", "pbx-modules", "pbx-mp3")
UNASKED_PRIORITIES = {"base": "1", "apt": "1.8"}


class Resolve(Protocol):
    def __call__(
        self, *wanted: str, release: Release = ..., priorities: Sequence[str] = ...
    ) -> PackageSet: ...


@pytest.fixture
def resolved(buster: Release, tmp_path: Path, screen: Screen) -> Resolve:
    def from_archive(
        *wanted: str, release: Release = buster, priorities: Sequence[str] = ()
    ) -> PackageSet:
        assert release.archive is not None
        return resolve(
            Chosen(release, sources_of(release, release.archive)),
            wanted,
            cache=tmp_path / "cache",
            log=tmp_path / "apt.log",
            progress=screen.progress,
            priorities=priorities,
        )

    return from_archive


def test_what_is_wanted_and_what_it_needs(resolved: Resolve, address: str) -> None:
    found = resolved("pbx-mp3", "only-here")
    assert found.versions == {
        **UNASKED_PRIORITIES,
        "only-here": "1-sec",
        "pbx": "1:16-sec",
        "pbx-modules": "1:16-sec",
        "pbx-mp3": "1:16-sec",
    }
    assert found.substitutions == ()
    assert found.preferences == ""
    assert found.epoch == EPOCH
    assert {package.suite for package in found.packages} == {"buster", "buster/updates"}
    assert [index.url.removeprefix(address) for index in found.indexes] == [
        "/debian/dists/buster/InRelease",
        "/debian/dists/buster/main/binary-amd64/Packages",
        "/debian/dists/buster-updates/InRelease",
        "/debian/dists/buster-updates/main/binary-amd64/Packages",
        "/debian-security/dists/buster/updates/InRelease",
        "/debian-security/dists/buster/updates/main/binary-amd64/Packages",
    ]
    assert all((found.debs / package.file_name).exists() for package in found.packages)


def test_priorities_and_the_sources_of_packages(resolved: Resolve) -> None:
    found = resolved(priorities=("required", "important", "standard"))
    assert found.versions == {"apt": "1.8", "base": "1", "tool": "2"}
    tool = found.packages[-1]
    assert (tool.source, tool.source_version, tool.suite) == ("tool", "1.9", "buster-updates")


def test_the_same_set_has_the_same_digest(resolved: Resolve) -> None:
    first, again = resolved("pbx"), resolved("pbx")
    assert again == first
    assert again.digest == first.digest
    assert replace(first, packages=first.packages[1:]).digest != first.digest


def test_an_incomplete_security_source_is_taken_from_main(
    resolved: Resolve, archive: DebianArchive, screen: Screen
) -> None:
    archive.remove("pbx-mp3_1:16-sec_amd64.deb")
    found = resolved("pbx-mp3", "only-here")
    assert {name: found.versions[name] for name in PBX} == dict.fromkeys(PBX, "1:16-main")
    assert found.versions["only-here"] == "1-sec"
    assert found.substitutions == (
        Substitution(
            source="pbx",
            missing_version="1:16-sec",
            missing_files=("pbx-mp3_1:16-sec_amd64.deb",),
            taken_version="1:16-main",
            binaries=PBX,
        ),
    )
    assert found.preferences == (
        "Package: pbx pbx-modules pbx-mp3\nPin: version 1:16-sec\nPin-Priority: -1\n"
    )
    assert (
        "pbx 1:16-sec is not whole on the mirror (without pbx-mp3): "
        "pbx, pbx-modules, pbx-mp3 taken at 1:16-main, the newest whole version" in screen.text
    )


def test_a_mirror_on_a_disk(
    buster: Release, archive: DebianArchive, tmp_path: Path, screen: Screen
) -> None:
    archive.remove("pbx-mp3_1:16-sec_amd64.deb")
    mirror = f"file://{archive.root}/debian"
    found = resolve(
        choose("buster", progress=screen.progress, mirror=mirror, releases=(buster,)),
        ["pbx-mp3"],
        cache=tmp_path / "cache",
        log=tmp_path / "apt.log",
        progress=screen.progress,
        priorities=(),
    )
    assert found.versions["pbx-mp3"] == "1:16-main"
    assert all((found.debs / package.file_name).exists() for package in found.packages)


def test_a_gap_that_touches_nothing_wanted_changes_nothing(
    resolved: Resolve, archive: DebianArchive
) -> None:
    archive.remove("pbx-mp3_1:16-sec_amd64.deb")
    assert resolved("pbx").versions["pbx"] == "1:16-sec"


def test_no_substitute_in_main(resolved: Resolve, archive: DebianArchive) -> None:
    archive.remove("only-here_1-sec_amd64.deb")
    said = message(resolved, "only-here")
    assert said.startswith(
        "choosing the packages of Debian 10.13 (buster); without only-here 1-sec, which the "
        "mirror lacks in part: there is no such package"
    )


def test_no_substitute_at_one_version(resolved: Resolve, archive: DebianArchive) -> None:
    uneven = [replace(deb, version="1:15") if deb.name == "pbx-mp3" else deb for deb in MAIN]
    archive.publish(BUSTER, [replace(d, depends="") if d.name == "pbx-mp3" else d for d in uneven])
    archive.remove("pbx-mp3_1:16-sec_amd64.deb")
    assert message(resolved, "pbx-mp3", "pbx") == (
        "pbx 1:16-sec is not whole on the mirror, and there is no one version to take instead "
        "(found: 1:15, 1:16-main)"
    )


def test_a_gap_in_main_is_the_mirrors_fault(
    resolved: Resolve, archive: DebianArchive, address: str
) -> None:
    archive.remove("unasked_1_amd64.deb")
    assert message(resolved, "unasked") == (
        f"{address}/debian/pool/main/u/unasked/unasked_1_amd64.deb: missing on the mirror"
    )


def test_packages_of_another_user_will_do(
    resolved: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their time cannot be set, which is how a use is noted."""
    first = resolved("unasked")

    def not_ours(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "utime", not_ours)

    assert resolved("unasked").packages == first.packages


def test_a_damaged_download_is_fetched_again(resolved: Resolve) -> None:
    found = resolved("unasked")
    damaged = found.debs / "unasked_1_amd64.deb"
    content = damaged.read_bytes()
    damaged.write_bytes(b"x" * len(content))  # apt looks at the size only
    resolved("unasked")
    assert damaged.read_bytes() == content


def test_a_file_that_is_not_what_the_index_promises(
    resolved: Resolve, archive: DebianArchive
) -> None:
    (path,) = archive.root.glob("debian/pool/**/unasked_1_amd64.deb")
    path.write_bytes(b"x" * path.stat().st_size)
    assert message(resolved, "unasked").startswith(
        "fetching the packages: what it sent is not what its index promises\n  | E: Failed to fetch"
    )


def test_valid_until_counts_for_a_live_release(resolved: Resolve, buster: Release) -> None:
    said = message(resolved, "pbx", release=replace(buster, valid_until=True))
    assert said.startswith("Debian 10.13 (buster) from http://127.0.0.1:")
    assert ": its index is out of date (Valid-Until) or not valid yet\n  | E: Release file" in said


@pytest.mark.parametrize(
    ("signed_by", "meaning"),
    [
        pytest.param(
            "expired",
            "it is signed only by keys that have expired",
            id="expired",
            marks=pytest.mark.skipif(
                Path("/usr/bin/sqv").exists(),
                reason="this apt uses sqv, for which a key counts as of the signature's date",
            ),
        ),
        pytest.param(
            "stranger", "its signature is by no key that is trusted for it", id="stranger"
        ),
    ],
)
def test_signatures_that_do_not_count(
    signed_by: str,
    meaning: str,
    resolved: Resolve,
    archive: DebianArchive,
    signers: Signers,
) -> None:
    poor = replace(archive, signers=(getattr(signers, signed_by),))
    poor.publish(BUSTER_SECURITY, SECURITY)
    assert f": {meaning}\n  | " in message(resolved, "pbx")


def test_an_index_changed_after_it_was_signed(resolved: Resolve, archive: DebianArchive) -> None:
    path = archive.root / "debian/dists/buster/InRelease"
    path.write_bytes(path.read_bytes().replace(b"Label: Debian", b"Label: Demian"))
    said = message(resolved, "pbx")
    assert ": its signature does not hold\n  | " in said
    assert "BADSIG" in said or "sqv" in said


def test_a_mirror_without_the_suite(resolved: Resolve, archive: DebianArchive) -> None:
    for path in archive.root.glob("debian/dists/buster-updates/*Release*"):
        path.unlink()
    assert ": a file is missing on it\n  | E: The repository" in message(resolved, "pbx")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param(
            "nonesuch",
            r"choosing the packages of Debian 10.13 \(buster\): there is no such package\n"
            r"  \| E: Unable to locate package nonesuch",
            id="unknown",
        ),
        pytest.param(
            "needy",
            r"the packages do not fit together\n"
            r"  \|  needy : Depends: absent-from-everywhere but it is not installable",
            id="impossible",
        ),
        pytest.param("Pbx=1", r"not a package name: 'Pbx=1'", id="not a name"),
        pytest.param("pbx-", r"not a package name: 'pbx-'", id="apt would remove it"),
    ],
)
def test_names_that_cannot_be(wanted: str, said: str, resolved: Resolve) -> None:
    assert re.search(said, message(resolved, wanted))


def test_no_keyring(resolved: Resolve, buster: Release) -> None:
    release = replace(buster, keyrings=("/nonexistent/keyring.gpg",))
    assert message(resolved, "pbx", release=release) == (
        "Debian 10.13 (buster): no keyring to verify its packages with; "
        "looked for /nonexistent/keyring.gpg"
    )


def message(resolved: Resolve, *wanted: str, release: Release | None = None) -> str:
    with pytest.raises(ToipLabError) as raised:
        resolved(*wanted, **({"release": release} if release else {}))
    return raised.value.message


def test_packages_that_are_refused_are_not_fetched(
    buster: Release, tmp_path: Path, screen: Screen
) -> None:
    def refuse(packages: Sequence[Package]) -> None:
        raise ToipLabError(f"{len(packages)} are too many")

    assert buster.archive is not None
    with pytest.raises(ToipLabError, match="5 are too many"):
        resolve(
            Chosen(buster, sources_of(buster, buster.archive)),
            PBX,
            cache=tmp_path / "cache",
            log=tmp_path / "apt.log",
            progress=screen.progress,
            before_fetching=refuse,
            priorities=(),
        )
    assert not list((tmp_path / "cache" / "debs").glob("*.deb"))
