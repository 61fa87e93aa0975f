"""The virtualbox builder with the real Packer and the real VBoxManage, up to startvm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installer.blank import blank_iso
from tests.packer_here import needs_packer
from tests.virtualbox.chroot import VirtualBox
from toiplab.builders.contract import Project, Request
from toiplab.builders.packer.build import BuildOptions, build_virtualbox
from toiplab.errors import ToipLabError
from toiplab.progress import Progress

pytestmark = [
    pytest.mark.apart,
    pytest.mark.boot,  # it resolves a lab's packages, and may make the chroot first
    needs_packer,
]

NAME = "toip-lab-isi"


@pytest.fixture
def request_here(project: Project, tmp_path: Path) -> Request:
    iso = blank_iso(tmp_path / "blank.iso")
    lab = project.top / "labs/isi.yml"
    return Request.read(lab, release="bullseye", project=project, iso=iso)


def test_without_its_driver_virtualbox_is_left_as_it_was(
    virtualbox: VirtualBox, request_here: Request
) -> None:
    """All of createvm, modifyvm, storagectl, storageattach is real; startvm fails, alone."""
    with pytest.raises(ToipLabError) as error:
        build_virtualbox(request_here, Progress(), options=BuildOptions(slow=True))

    assert error.value.message.startswith("VirtualBox could not start the machine")
    assert "--builder qemu" in error.value.hint
    said = (request_here.folder / "packer.log").read_text(encoding="utf-8")
    assert "Starting the virtual machine" in said
    assert "--nat-localhostreachable1 on" in said
    assert virtualbox.run("list", "vms") == ""
    assert not list(request_here.project.build.glob(".scratch-*"))
    assert not request_here.project.dist.exists()


def test_a_machine_of_that_name_is_left_alone(
    virtualbox: VirtualBox, request_here: Request
) -> None:
    virtualbox.run("createvm", "--name", NAME, "--ostype", "Debian_64", "--register")

    with pytest.raises(ToipLabError) as error:
        build_virtualbox(request_here, Progress())

    assert error.value.message == f"VirtualBox has a machine {NAME} already"
    assert f"VBoxManage unregistervm {NAME} --delete" in error.value.hint
    assert f'"{NAME}"' in virtualbox.run("list", "vms")
