"""A build that is interrupted while its machine runs leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.installer.blank import blank_iso
from tests.packer_here import needs_packer
from tests.virtualbox.chroot import VirtualBox
from tests.virtualbox.fixture import stand_in
from toiplab.builders.contract import Project, Request
from toiplab.builders.packer.build import BuildOptions, build_qemu, build_virtualbox
from toiplab.progress import Progress

pytestmark = [
    pytest.mark.apart,
    pytest.mark.boot,
    needs_packer,
]

RUNNING = "Boot the installer"  # the machine has started, and keys are being typed


class Interrupting(Progress):
    """Ctrl-C at the beginning of a phase."""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        if title == RUNNING:
            raise KeyboardInterrupt
        with super().step(title):
            yield


def running(project: Project) -> list[str]:
    """The command lines of QEMU that name the project."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "qemu-system" in text and str(project.top) in text:
            lines.append(text)
    return lines


@pytest.fixture
def request_here(project: Project, tmp_path: Path) -> Request:
    iso = blank_iso(tmp_path / "blank.iso")
    lab = project.top / "labs/isi.yml"
    return Request.read(lab, release="bullseye", project=project, iso=iso)


def assert_nothing_is_left(project: Project) -> None:
    assert running(project) == []
    assert not list(project.build.glob(".scratch-*"))
    assert not project.dist.exists()


def test_in_qemu(request_here: Request) -> None:
    options = BuildOptions(accelerator="tcg")

    with pytest.raises(KeyboardInterrupt):
        build_qemu(request_here, Interrupting(), options=options)

    assert_nothing_is_left(request_here.project)


def test_in_virtualbox(virtualbox: VirtualBox, request_here: Request, tmp_path: Path) -> None:
    with stand_in(virtualbox, tmp_path / "standin") as box, pytest.raises(KeyboardInterrupt):
        build_virtualbox(request_here, Interrupting(), options=BuildOptions())
    names = box.run("list", "vms")

    assert names == ""
    assert_nothing_is_left(request_here.project)
