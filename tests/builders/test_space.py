"""Packages that do not fit are refused once they are known, before one is fetched."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from toiplab.builders import space
from toiplab.builders.contract import Project, Request
from toiplab.builders.indexes import Package, read_packages
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT

INDEX = """\
Package: gnome-core
Version: 1:3.38+3
Architecture: amd64
Installed-Size: 1536
Filename: pool/main/m/meta-gnome3/gnome-core.deb
Size: 1000
SHA256: 00

Package: tiny
Version: 1
Architecture: all
Filename: pool/main/t/tiny.deb
Size: 1
SHA256: 00
"""


@pytest.fixture
def listed(tmp_path: Path) -> list[Package]:
    (tmp_path / "Packages").write_text(INDEX)
    return read_packages(tmp_path / "Packages", "bullseye")


@pytest.fixture
def request_of(tmp_path: Path):
    """A build of the default lab with a disk of so many GiB."""
    (tmp_path / "labs").mkdir()
    lab_file = tmp_path / "labs" / "isi.yml"

    def made(disk: int) -> Request:
        text = (PROJECT / "labs" / "isi.yml").read_text(encoding="utf-8")
        lab_file.write_text(text.replace("disk: 8 ", f"disk: {disk} "), encoding="utf-8")
        return Request.read(lab_file, project=Project(tmp_path))

    return made


def sized(package: Package, installed_gib: float, deb_gib: float = 0) -> Package:
    return replace(
        package,
        installed_size=int(installed_gib * space.GIB),
        size=int(deb_gib * space.GIB),
    )


def free(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    usage = shutil.disk_usage("/")._replace(free=int(gib * space.GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_an_index_tells_what_a_package_takes_once_installed(listed: list[Package]) -> None:
    assert [package.installed_size for package in listed] == [1536 * 1024, 0]


def test_a_disk_too_small_for_the_packages(
    request_of, listed: list[Package], tmp_path: Path
) -> None:
    with pytest.raises(ToipLabError) as error:
        space.check(request_of(3), [sized(listed[0], 2.2), listed[1]])

    assert str(error.value) == (
        f"{tmp_path / 'labs' / 'isi.yml'}: machine.disk: 3 GiB is too small: the 2 packages "
        "take 2.2, and a class needs room for its own\n"
        "  give it 4 at least, or choose fewer tasks"
    )


@pytest.mark.parametrize(
    ("gib", "needed"),
    [(0.5, 4), (2.3, 10)],  # 3 x 2.3, 2 x 0.7 and 1
)
def test_what_a_build_needs_follows_from_its_packages(
    request_of, listed: list[Package], monkeypatch: pytest.MonkeyPatch, gib: float, needed: int
) -> None:
    request, packages = request_of(8), [sized(listed[0], gib, deb_gib=0.7)]
    free(monkeypatch, needed)
    space.check(request, packages)

    free(monkeypatch, needed - 1)
    with pytest.raises(ToipLabError) as error:
        space.check(request, packages)

    assert error.value.message == (
        f"{request.project.build}: {needed - 1:.1f} GiB free, a build needs {needed}"
    )
