"""What mmdebstrap is told, and that nothing but the whole result is left behind.

mmdebstrap's place is taken by a script on PATH; test_rehearsal.py runs the real one.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from tests.builders.conftest import Screen
from toiplab.builders.bootstrap import make_root
from toiplab.builders.indexes import Package
from toiplab.builders.packages import PackageSet
from toiplab.builders.sources import Source
from toiplab.errors import ToipLabError
from toiplab.releases import BUSTER

STANDIN = """#!/bin/sh
# records what it was told, keeps the skeleton, and "installs" what the test says
printf '%s\\n' "$@" > "$RECORD/argv"
env > "$RECORD/env"
for argument; do
    case $argument in
        --setup-hook=tar-in*) set -- $argument; cp "$2" "$RECORD/skeleton.tar" ;;
        --customize-hook=download*) set -- $argument; cp "$RECORD/status" "$3" ;;
        */.root.tar.*) echo packed > "$argument" ;;
    esac
done
exit "$(cat "$RECORD/exit")"
"""
STATUS = """Package: base
Status: install ok installed
Version: 1

Package: pbx
Status: install ok installed
Version: 1:16
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the stand-in keeps what it saw, and finds what it is to do."""
    folder = tmp_path / "record"
    folder.mkdir()
    (folder / "status").write_text(STATUS, encoding="utf-8")
    (folder / "exit").write_text("0", encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "mmdebstrap"
    script.write_text(STANDIN, encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("RECORD", str(folder))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.delenv("TMPDIR", raising=False)
    return folder


@pytest.fixture
def package_set(tmp_path: Path) -> PackageSet:
    debs, lists = tmp_path / "debs", tmp_path / "lists"
    debs.mkdir()
    lists.mkdir()
    for name in ("m_debian_dists_buster_InRelease", "lock"):
        (lists / name).touch()
    packages = (package("base", "1"), package("pbx", "1:16"))
    for each in packages:
        (debs / each.file_name).touch()
    (debs / "pbx_1%3a15_amd64.deb").touch()  # of an older build
    return PackageSet(
        release=BUSTER,
        sources=(Source("http://archive.debian.org/debian", "buster"),),
        packages=packages,
        substitutions=(),
        indexes=(),
        epoch=1662805020,
        preferences="Package: pbx\nPin: version 1:17\nPin-Priority: -1\n",
        debs=debs,
        lists=lists,
    )


def package(name: str, version: str) -> Package:
    return Package(name, version, "amd64", name, version, "buster", "00", 1, f"pool/{name}.deb")


def make(package_set: PackageSet, folder: Path, screen: Screen, answers: str = "") -> Path:
    target = folder / "out" / "root.tar"
    make_root(
        package_set,
        target=target,
        log=folder / "mmdebstrap.log",
        progress=screen.progress,
        answers=answers,
        early_files={PurePosixPath("/etc/initramfs-tools/conf.d/lab"): b"MODULES=list\n"},
    )
    return target


def test_what_mmdebstrap_is_told(
    record: Path, package_set: PackageSet, tmp_path: Path, screen: Screen
) -> None:
    target = make(package_set, tmp_path, screen, answers="tzdata tzdata/Areas select Africa\n")
    argv = (record / "argv").read_text(encoding="utf-8").splitlines()
    assert "--include=base,pbx" in argv
    assert "--skip=update,check/signed-by,essential/unlink" in argv
    assert '--essential-hook=chroot "$1" debconf-set-selections /tmp/debconf-answers' in argv
    assert argv[-3:] == [
        "buster",
        str(target.with_name(f".root.tar.{os.getpid()}.part")),
        "deb http://archive.debian.org/debian buster main",
    ]
    environment = (record / "env").read_text(encoding="utf-8").splitlines()
    assert "SOURCE_DATE_EPOCH=1662805020" in environment
    assert {"TMPDIR=/dev/shm", "TMPDIR=/var/tmp"} & set(environment)
    assert [path.name for path in target.parent.iterdir()] == ["root.tar"]


def test_what_is_in_the_root_before_the_first_package(
    record: Path, package_set: PackageSet, tmp_path: Path, screen: Screen
) -> None:
    make(package_set, tmp_path, screen, answers="a b c d\n")
    with tarfile.open(fileobj=io.BytesIO((record / "skeleton.tar").read_bytes())) as tar:
        members = {member.name: member for member in tar}
        assert {name: members[name].linkname for name in ("bin", "lib64", "sbin")} == {
            "bin": "usr/bin",
            "lib64": "usr/lib64",
            "sbin": "usr/sbin",
        }
        assert members["usr/lib64"].isdir()
        assert stat.S_IMODE(members["tmp"].mode) == 0o1777
        assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
        texts = {
            name: file.read().decode()
            for name, member in members.items()
            if (file := tar.extractfile(member)) is not None
        }
    assert texts == {
        "etc/apt/preferences.d/toip-lab-build": package_set.preferences,
        "etc/dpkg/dpkg.cfg.d/toip-lab-build": "force-unsafe-io\n",
        "etc/initramfs-tools/conf.d/lab": "MODULES=list\n",
        "tmp/debconf-answers": "a b c d\n",
        "var/cache/apt/archives/base_1_amd64.deb": "",
        "var/cache/apt/archives/pbx_1%3a16_amd64.deb": "",
        "var/lib/apt/lists/m_debian_dists_buster_InRelease": "",
    }


def test_another_set_than_the_resolved_one(
    record: Path, package_set: PackageSet, tmp_path: Path, screen: Screen
) -> None:
    other = STATUS.replace("1:16", "1:15").replace("install ok installed", "install ok unpacked", 1)
    (record / "status").write_text(f"{other}\nPackage: extra\nVersion: 2\n", encoding="utf-8")
    with pytest.raises(ToipLabError) as raised:
        make(package_set, tmp_path, screen)
    assert raised.value.message == (
        "mmdebstrap did not install what was resolved (4 differences)\n"
        "  base: install ok unpacked\n"
        "  extra: None\n"
        "  extra: 2 instead of none\n"
        "  pbx: 1:15 instead of 1:16\n"
        f"  log: {tmp_path / 'mmdebstrap.log'}"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_left_of_a_failure(
    record: Path, package_set: PackageSet, tmp_path: Path, screen: Screen
) -> None:
    former = tmp_path / "out" / "root.tar"
    former.parent.mkdir()
    former.write_text("former", encoding="utf-8")
    (record / "exit").write_text("25", encoding="utf-8")
    with pytest.raises(ToipLabError, match="mmdebstrap failed with status 25"):
        make(package_set, tmp_path, screen)
    assert former.read_text(encoding="utf-8") == "former"
    assert [path.name for path in former.parent.iterdir()] == ["root.tar"]
