"""The Packer and the VirtualBox that are found, or not: fakes that stand first on PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab import builders
from toiplab.builders.packer import qemu
from toiplab.builders.packer.build import PROGRAMS
from toiplab.builders.packer.client import Line, Packer, read_line
from toiplab.builders.packer.virtualbox import VirtualBox
from toiplab.errors import ToipLabError
from toiplab.image.vmdk import Compression

WARNING = (
    "WARNING: The vboxdrv kernel module is not loaded. Either there is no module\n"
    "         available for the current kernel or it failed to load."
)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing on PATH but the shell's own programs, and what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("toiplab.host.SBIN", str(folder))

    def put(name: str, answers: str) -> None:
        said = tmp_path / f"{name}.txt"
        said.write_text(answers, encoding="utf-8")
        program = folder / name
        program.write_text(f'#!/bin/sh\ncase "$*" in\n{answers}\nesac\n')
        program.chmod(0o755)

    return put


def test_no_packer(programs) -> None:
    with pytest.raises(ToipLabError) as error:
        Packer.find()

    assert str(error.value).splitlines()[0] == "no Packer on this machine"
    assert "apt-get install packer" in error.value.hint


@pytest.mark.parametrize(
    ("said", "version"),
    [("Packer v1.6.6", (1, 6, 6)), ("Packer v1.14.2\n\nYour version is out of date", (1, 14, 2))],
)
def test_packers_version(programs, said: str, version: tuple[int, int, int]) -> None:
    programs("packer", f"version) echo '{said}';;")

    assert Packer.find().version == version


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Packer v1.5.6", "Packer 1.5.6 is too old"),
        ("cracklib packer", "does not tell a version as Packer does"),
    ],
)
def test_a_packer_that_will_not_do(programs, said: str, message: str) -> None:
    programs("packer", f"version) echo '{said}';;")

    with pytest.raises(ToipLabError) as error:
        Packer.find()

    assert message in error.value.message


PLUGIN_FILE = (
    "/root/.config/packer/plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.0_x5.0_linux"
)


@pytest.mark.parametrize(
    ("version", "installed", "good"),
    [
        ("1.6.6", "", True),  # it brings its builders
        ("1.9.4", "", True),
        ("1.11.2", "", False),
        ("1.11.2", PLUGIN_FILE, True),
        ("1.11.2", PLUGIN_FILE.replace("qemu", "docker"), False),
    ],
)
def test_a_plugin_that_current_packer_lacks(
    programs, version: str, installed: str, good: bool
) -> None:
    programs("packer", f"version) echo Packer v{version};;\nplugins*) echo '{installed}';;")
    packer = Packer.find()

    if good:
        packer.check_plugin(qemu.PLUGIN)
        return
    with pytest.raises(ToipLabError) as error:
        packer.check_plugin(qemu.PLUGIN)
    assert str(error.value) == (
        "Packer lacks its plugin github.com/hashicorp/qemu\n"
        "  packer plugins install github.com/hashicorp/qemu v1.1.0"
    )


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("7.2.22_Debianr175245", (7, 2)),
        ("7.0.20r163906", (7, 0)),
        ("6.1.50_Ubuntur161033", (6, 1)),
    ],
)
def test_virtualboxs_version(programs, said: str, version: tuple[int, int]) -> None:
    programs("VBoxManage", f"--version) echo {said};;\n'list vms') ;;")
    box = VirtualBox.find()
    box.check("toip-lab-isi")

    assert box.version == version


def test_no_virtualbox(programs) -> None:
    with pytest.raises(ToipLabError) as error:
        VirtualBox.find()

    assert error.value.message == "no VirtualBox on this machine (VBoxManage is not in PATH)"
    assert "--builder qemu" in error.value.hint


def test_a_virtualbox_without_its_driver_says_so_itself(programs) -> None:
    programs("VBoxManage", f"--version) echo '{WARNING}' >&2; echo 7.2.22r175245;;")
    box = VirtualBox.find()

    assert not box.can_start_machines
    with pytest.raises(ToipLabError) as error:
        box.check("toip-lab-isi")
    assert error.value.message.startswith("VirtualBox has no driver in this kernel")
    assert "modprobe vboxdrv" in error.value.hint


def test_a_virtualbox_too_old(programs) -> None:
    programs("VBoxManage", "--version) echo 5.2.42r137960;;")

    with pytest.raises(ToipLabError) as error:
        VirtualBox.find()

    assert error.value.message == "VirtualBox 5.2.42 is too old"


def test_a_machine_of_that_name(programs) -> None:
    programs(
        "VBoxManage",
        "--version) echo 7.2.22r175245;;\n"
        "'list vms') echo '\"toip-lab-isi\" {0f1ba7c6-906d-47e4-8d4d-1eb42c68c4a7}';;",
    )
    box = VirtualBox.find()

    with pytest.raises(ToipLabError) as error:
        box.check("toip-lab-isi")
    assert error.value.message == "VirtualBox has a machine toip-lab-isi already"
    box.check("toip-lab")


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("packer", "no Packer on this machine"),
        ("plugin", "Packer lacks its plugin github.com/hashicorp/virtualbox"),
        ("VBoxManage", "no VirtualBox on this machine (VBoxManage is not in PATH)"),
        ("driver", "VirtualBox has no driver in this kernel"),
        ("fast", "--compress best: VirtualBox compresses what it exports itself"),
        ("", ""),
    ],
)
def test_auto_takes_virtualbox_where_it_can_run_and_says_why(
    programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, why: str
) -> None:
    for name in PROGRAMS:
        programs(name, "*) ;;")
    if missing != "packer":
        version = "1.11.2" if missing == "plugin" else "1.6.6"
        programs("packer", f"version) echo Packer v{version};;\nplugins*) ;;")
    if missing != "VBoxManage":
        programs("VBoxManage", "--version) echo 7.2.22r175245;;")
    driver = tmp_path / "vboxdrv"
    monkeypatch.setattr("toiplab.builders.packer.virtualbox.DRIVER", driver)
    if missing != "driver":
        driver.touch()

    compression = Compression.BEST if missing == "fast" else Compression.FAST
    name, reason = builders.choose_builder(compression)

    if missing:
        assert name == "direct"
        assert reason.startswith(f"it needs no hypervisor and no root; {why}")
    else:
        assert (name, reason) == ("virtualbox", "can run, with Packer 1.6.6 and VirtualBox 7.2")


@pytest.mark.parametrize(
    ("line", "kind", "text", "is_error"),
    [
        ("1795568790,,ui,say,==> qemu.toip-lab: Starting VM%!(PACKER_COMMA) booting", "ui",
         "Starting VM, booting", False),
        ("1795568790,,ui,message,    qemu.toip-lab: toip-lab: Tidy up", "ui",
         "toip-lab: Tidy up", False),
        ("1795568790,,ui,error,==> qemu.toip-lab: Error: a\\nb", "ui", "Error: a\nb", True),
        ("1795568790,qemu.toip-lab,error,Build was halted.", "error", "Build was halted.", True),
        ("1795568790,,error-count,1", "error-count", "1", False),
    ],
)  # fmt: skip
def test_packers_lines(line: str, kind: str, text: str, is_error: bool) -> None:
    read = read_line(line)

    assert isinstance(read, Line)
    assert (read.kind, read.text, read.is_error) == (kind, text, is_error)


def test_what_is_no_line_of_packers() -> None:
    assert read_line("panic: runtime error") is None
    assert read_line("") is None
