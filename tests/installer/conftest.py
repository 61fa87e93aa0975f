"""Builds by Debian's real installer: its medium, the mirror before it, a project for each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.installer.archive import Mirror
from tests.installer.medium import ISOLINUX, make_medium
from tests.installer.proxy import proxy_before_the_mirror
from tests.installer.udebs import Installer, make_installer
from tests.virtualbox.chroot import VirtualBox, make_chroot, why_not
from tests.virtualbox.conftest import CHROOT
from tests.virtualbox.fixture import stand_in
from toiplab.builders import sources
from toiplab.builders.contract import Project, Request
from toiplab.host import PROJECT
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.releases import BULLSEYE

KEPT = PROJECT / "build" / "installer"
LAB = PROJECT / "labs" / "isi.yml"
PROGRAMS = ("packer", "xorriso", "busybox", "perl", "gpg")


@pytest.fixture(scope="session")
def installer() -> Installer:
    """Debian's installer with the packages of it that this machine's mirror lacks."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not ISOLINUX.exists():
        missing.append("isolinux")
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    mirror = Mirror(next(sources.places_of(BULLSEYE)).main, KEPT / "cache")
    return make_installer(mirror, KEPT / "www")


@pytest.fixture(scope="session")
def medium(installer: Installer) -> Path:
    """The ISO."""
    return make_medium(installer, KEPT / "medium")


@pytest.fixture(scope="session")
def mirror_with_udebs(installer: Installer) -> Iterator[str]:
    """The proxy that brings them; apt, the installer and the machine all use it."""
    with used_by_all(proxy_before_the_mirror(installer.www, KEPT / "proxy")) as proxy:
        yield proxy


@pytest.fixture
def mirror_that_is_lost(installer: Installer) -> Iterator[str]:
    """The same, but for the installer gone as soon as it has begun with the base system."""
    lost = proxy_before_the_mirror(installer.www, KEPT / "proxy", lost_to="debootstrap")
    with used_by_all(lost) as proxy:
        yield proxy


@contextmanager
def used_by_all(starting: AbstractContextManager[str]) -> Iterator[str]:
    """A proxy that every program of a build is told of."""
    with starting as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", proxy)
        patch.delenv("no_proxy", raising=False)
        yield proxy


def project_for(builder: str) -> Project:
    """A project of its own, kept for a look; what an earlier run left is removed."""
    project = Project(KEPT / builder)
    for folder in (project.dist, project.build / LAB.stem):
        shutil.rmtree(folder, ignore_errors=True)
    (project.top / "labs").mkdir(parents=True, exist_ok=True)
    secrets.for_lab(load(LAB), LAB)  # the same for every builder, so that images compare
    for file in (LAB, secrets.path_for(LAB)):
        shutil.copy(file, project.top / "labs")
    project.build.mkdir(exist_ok=True)
    if not project.cache.exists():
        shared = PROJECT / "build" / "cache"
        shared.mkdir(parents=True, exist_ok=True)
        project.cache.symlink_to(shared)
    return project


def request_for(builder: str, medium: Path) -> Request:
    """What to build with it: the default lab, on Debian 11."""
    project = project_for(builder)
    lab = project.top / "labs" / LAB.name
    return Request.read(lab, release="bullseye", project=project, iso=medium)


@pytest.fixture(scope="session")
def virtualbox_that_starts() -> Iterator[VirtualBox]:
    """The real VBoxManage, and the stand-in before it; both see what is kept here."""
    if reason := why_not():
        pytest.skip(reason)
    make_chroot(CHROOT)
    shutil.rmtree(KEPT / "virtualbox-home", ignore_errors=True)
    real = VirtualBox.install(CHROOT, KEPT / "virtualbox-home" / "bin", KEPT)
    with stand_in(real, KEPT / "virtualbox-home" / "standin") as box:
        yield box
