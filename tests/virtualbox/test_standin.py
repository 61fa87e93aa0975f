"""The stand-in for a VirtualBox that can start machines: QEMU runs what VirtualBox describes."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installer.blank import blank_iso
from tests.virtualbox.chroot import VirtualBox
from tests.virtualbox.fixture import stand_in

pytestmark = [pytest.mark.boot, pytest.mark.apart]

STOPPED_SECONDS = 30
UUID_LINE = re.compile(r"^UUID:.*$", re.MULTILINE)


@pytest.fixture
def machine(virtualbox: VirtualBox, tmp_path: Path) -> Iterator[VirtualBox]:
    """A machine named vm, as Packer makes one, in a VirtualBox that can start it."""
    blank_iso(tmp_path / "blank.iso")
    with stand_in(virtualbox, tmp_path / "standin") as box:
        disk = str(tmp_path / "vm.vdi")
        attach = ("storageattach", "vm", "--storagectl")
        for command in (
            ("createvm", "--name", "vm", "--ostype", "Debian_64", "--register"),
            ("modifyvm", "vm", "--memory", "64", "--nic1", "nat", "--rtcuseutc", "on"),
            ("modifyvm", "vm", "--boot1", "disk", "--boot2", "dvd"),
            ("createmedium", "disk", "--filename", disk, "--size", "16"),
            ("storagectl", "vm", "--name", "IDE Controller", "--add", "ide"),
            ("storagectl", "vm", "--name", "SATA Controller", "--add", "sata"),
            (*attach, "SATA Controller", "--port", "0", "--type", "hdd", "--medium", disk),
            (*attach, "IDE Controller", "--port", "0", "--device", "1", "--type", "dvddrive",
             "--medium", str(tmp_path / "blank.iso")),
        ):  # fmt: skip
            box.run(*command)
        yield box


def state(box: VirtualBox) -> str:
    told = box.run("showvminfo", "vm", "--machinereadable")
    return next(line for line in told.splitlines() if line.startswith("VMState="))


def test_a_machine_runs_takes_keys_and_is_switched_off(machine: VirtualBox) -> None:
    assert state(machine) == 'VMState="poweroff"'

    machine.run("startvm", "vm", "--type", "headless")
    assert state(machine) == 'VMState="running"'

    machine.run("controlvm", "vm", "keyboardputscancode", "2a", "1e", "9e", "aa", "e0", "48")
    machine.run("controlvm", "vm", "poweroff")
    deadline = time.monotonic() + STOPPED_SECONDS
    while state(machine) == 'VMState="running"':
        assert time.monotonic() < deadline
    assert state(machine) == 'VMState="poweroff"'


def test_a_machine_that_is_removed_stops(machine: VirtualBox) -> None:
    machine.run("startvm", "vm", "--type", "headless")

    machine.run("controlvm", "vm", "poweroff")
    machine.run("unregistervm", "vm", "--delete")

    assert '"vm"' not in machine.run("list", "vms")


def test_what_a_machine_wrote_and_gave_back_is_so_in_its_vdi(
    machine: VirtualBox, tmp_path: Path
) -> None:
    disk, layer = tmp_path / "vm.vdi", tmp_path / "standin" / "state" / "vm.qcow2"
    before = machine.run("showmediuminfo", str(disk))
    layer.parent.mkdir(exist_ok=True)
    for argv in (
        ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "vdi", "-b", disk, layer),
        ("qemu-io", "-d", "unmap", "-c", "write -P 7 0 8M", "-c", "discard 0 4M", layer),
    ):
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    after = machine.run("showmediuminfo", str(disk))

    assert not layer.exists()
    assert UUID_LINE.findall(after) == UUID_LINE.findall(before)
    assert 4 << 20 <= disk.stat().st_size < 6 << 20
    for pattern in ("read -P 0 0 4M", "read -P 7 4M 4M"):
        subprocess.run(["qemu-io", "-r", "-f", "vdi", "-c", pattern, disk], check=True)
