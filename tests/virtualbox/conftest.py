"""A VirtualBox of the tests: the real VBoxManage, and projects that it can see."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.virtualbox.chroot import VirtualBox, make_chroot, why_not
from toiplab.builders.contract import Project
from toiplab.host import PROJECT

CHROOT = PROJECT / "build" / "virtualbox" / "sid"
LAB = PROJECT / "labs" / "isi.yml"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of its own with the default lab, and the packages that are here already."""
    made = Project(tmp_path / "project")
    (made.top / "labs").mkdir(parents=True)
    made.build.mkdir()
    shutil.copy(LAB, made.top / "labs")
    PROJECT.joinpath("build/cache").mkdir(parents=True, exist_ok=True)
    made.cache.symlink_to(PROJECT / "build" / "cache")
    return made


@pytest.fixture(scope="session")
def chroot(pytestconfig: pytest.Config) -> Path:
    """Debian sid with VirtualBox, made once and kept in build/."""
    if reason := why_not():
        (pytest.fail if pytestconfig.getoption("needed") else pytest.skip)(reason)
    make_chroot(CHROOT)
    return CHROOT


@pytest.fixture
def virtualbox(chroot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualBox:
    """The real VBoxManage, first in PATH, without a machine."""
    box = VirtualBox.install(chroot, tmp_path / "bin", tmp_path)
    monkeypatch.setenv("PATH", str(box.folder), prepend=":")
    return box
