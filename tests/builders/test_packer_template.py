"""The template, by the Packer of this machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.installer.blank import blank_iso
from tests.packer_here import needs_packer
from toiplab import host
from toiplab.builders.packer import boot, qemu, virtualbox
from toiplab.builders.packer.client import Packer
from toiplab.builders.packer.job import EMULATED, NATIVE, TEMPLATE
from toiplab.builders.packer.virtualbox import VirtualBox
from toiplab.errors import ToipLabError
from toiplab.hardware import interface_name
from toiplab.lab.load import load
from toiplab.machine.accelerator import Accelerator

LAB = load(host.PROJECT / "labs/isi.yml")
SOURCES = pytest.mark.parametrize("source", [qemu.SOURCE, virtualbox.SOURCE])


@pytest.fixture
def variables(tmp_path: Path):
    """A file of variables as a build has them, with these changes."""

    def written(**changes: object) -> Path:
        iso = blank_iso(tmp_path / "installer.iso")
        for name in ("key", "stage.tar"):
            (tmp_path / name).touch()
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "login"], check=True
        )
        values = {
            "name": "toip-lab-isi",
            "memory": 1024,
            "cpus": 1,
            "disk": 8,
            "lab_network": virtualbox.lab_network(LAB.hardware),
            "forwards": [virtualbox.forward_rule(each) for each in LAB.hardware.forwards],
            "iso": str(iso),
            "iso_sha256": "0" * 64,
            "http_directory": str(tmp_path),
            "boot_arguments": boot.arguments(LAB, log_port=5140),
            "boot_wait": "8s",
            "boot_meanwhile": ["<down><wait5>"],
            "key_interval": "20ms",
            "ssh_private_key": str(tmp_path / "login"),
            "ssh_timeout": "1h",
            "stage": str(tmp_path / "stage.tar"),
            "output": str(tmp_path / "output"),
            "installed": str(tmp_path / "installed"),
            "qemuargs": qemu.arguments(
                LAB.hardware, Accelerator.TCG, iso=iso, console=tmp_path / "console"
            ),
            "vboxmanage": VirtualBox(Path("VBoxManage"), (7, 2)).options(),
        }
        file = tmp_path / "variables.json"
        file.write_text(json.dumps(values | changes), encoding="utf-8")
        return file

    return written


@needs_packer
@SOURCES
def test_packer_takes_the_template(variables, source: str, tmp_path: Path) -> None:
    Packer.find().validate(TEMPLATE, source, variables(), tmp_path / "log")


@needs_packer
@SOURCES
def test_a_bad_variable_is_told_in_packers_own_words(
    variables, source: str, tmp_path: Path
) -> None:
    with pytest.raises(ToipLabError) as error:
        Packer.find().validate(TEMPLATE, source, variables(disk="large"), tmp_path / "log")

    assert error.value.message.startswith("packer validate refuses toip-lab.pkr.hcl\n  | Error")
    assert "disk" in error.value.message


@pytest.mark.skipif(not shutil.which("packer"), reason="no Packer on this machine")
def test_the_template_is_formatted() -> None:
    subprocess.run(["packer", "fmt", "-check", "-diff", TEMPLATE], check=True)


def test_no_block_that_the_oldest_packer_refuses() -> None:
    code = re.sub(r"#.*", "", TEMPLATE.read_text(encoding="utf-8"))

    for word in ("required_plugins", "nic_type", "gfx_controller", "firmware", "http_content"):
        assert word not in code


def test_both_sources_type_the_same_boot_command() -> None:
    """It is written twice, since Packer's sources share nothing."""
    blocks = re.findall(
        r"boot_command = concat\(.*?\]\)", TEMPLATE.read_text(encoding="utf-8"), re.DOTALL
    )

    assert len(blocks) == 2
    assert blocks[0] == blocks[1]


def test_no_menu_waits_half_a_minute_for_its_first_key() -> None:
    """Debian's own would start the installer with speech then, without the preseed."""
    for pace in (NATIVE, EMULATED):
        assert float(pace.boot_wait.removesuffix("s")) < 10

    assert EMULATED.keys_meanwhile * 5 >= 30  # and a slow machine has the time to show it


def test_the_kernels_command_line() -> None:
    """What the installer of Debian 10 asks before it has its preseed."""
    words = boot.arguments(LAB, log_port=5140, priority="high").split()

    assert words[:6] == [
        "priority=high",
        "locale=fr_FR.UTF-8",
        "keymap=fr",
        "hostname=toip",
        "domain=",
        f"interface={interface_name(1)}",
    ]
    assert {"log_host=10.0.2.2", "log_port=5140"} <= set(words)


def test_qemus_hardware_is_virtualboxs() -> None:
    options = qemu.arguments(
        LAB.hardware, Accelerator.TCG, iso=Path("/a,b.iso"), console=Path("/console")
    )
    devices = [value for flag, value in options if flag == "-device"]

    assert [each for each in devices if each.startswith("ahci")] == ["ahci,id=sata,addr=0xd"]
    assert re.findall(r"netdev=(net\d).*?addr=(0x\d)", " ".join(devices)) == [
        ("net1", "0x3"),
        ("net2", "0x8"),
    ]
    assert ["-cdrom", "/a,,b.iso"] in options
    # no port of the lab's is taken on this host by a build
    assert not [value for _, value in options if "2222" in value or "5060" in value]


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ((6, 1), [["--audio", "none"]]),
        (
            (7, 0),
            [
                ["--audio-driver", "null", "--audio-enabled", "off"],
                ["--nat-localhostreachable1", "on"],
            ],
        ),
        (
            (7, 2),
            [
                ["--audio-driver", "null", "--audio-enabled", "off"],
                ["--nat-localhostreachable1", "on"],
            ],
        ),
    ],
)
def test_each_virtualbox_has_its_own_words(
    version: tuple[int, int], options: list[list[str]]
) -> None:
    assert VirtualBox(Path("VBoxManage"), version).options() == options


def test_forwards_are_virtualboxs_rules() -> None:
    """Row V4."""
    rules = [virtualbox.forward_rule(each) for each in LAB.hardware.forwards]

    assert rules[:2] == ["ssh,tcp,127.0.0.1,2222,,22", "sip,udp,127.0.0.1,5060,,5060"]
