"""What VirtualBox exports after the template's commands is the lab's machine (rows V1 to V5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtualbox.chroot import VirtualBox
from toiplab.builders.pack import in_one_order
from toiplab.builders.packer.virtualbox import VirtualBox as Found
from toiplab.builders.packer.virtualbox import forward_rule, lab_network
from toiplab.host import PROJECT
from toiplab.image.ova import open_ova
from toiplab.lab.load import load

pytestmark = [pytest.mark.boot, pytest.mark.apart]

LAB = load(PROJECT / "labs/isi.yml")
NAME = LAB.hardware.name


def test_the_exported_machine_is_the_labs(virtualbox: VirtualBox, tmp_path: Path) -> None:
    """The commands are those of Packer 1.6.6 and of packer/toip-lab.pkr.hcl, in their order."""
    disk, ova = str(tmp_path / "disk.vdi"), tmp_path / f"{NAME}.ova"
    modify = ("modifyvm", NAME)
    attach = ("storageattach", NAME, "--storagectl")
    drive = (*attach, "IDE Controller", "--port", "0", "--device", "1", "--type", "dvddrive")
    for command in (
        ("createvm", "--name", NAME, "--ostype", "Debian_64", "--register"),
        (*modify, "--cpus", str(LAB.machine.cpus), "--memory", str(LAB.machine.memory)),
        (*modify, "--audio", "none", "--usb", "off"),
        ("createhd", "--filename", disk, "--size", "16", "--format", "VDI"),
        ("storagectl", NAME, "--name", "IDE Controller", "--add", "ide"),
        ("storagectl", NAME, "--name", "SATA Controller", "--add", "sata", "--portcount", "1"),
        (*attach, "SATA Controller", "--port", "0", "--device", "0", "--type", "hdd",
         "--medium", disk, "--nonrotational", "on", "--discard", "on"),
        (*drive, "--medium", "emptydrive"),
        (*modify, "--vrdeaddress", "127.0.0.1", "--vrde", "on", "--vrdeport", "5920"),
        (*modify, "--nic1", "nat", "--natpf1", "packercomm,tcp,127.0.0.1,2667,,22"),
        (*modify, "--boot1", "disk", "--boot2", "dvd", "--boot3", "none", "--boot4", "none"),
        (*modify, "--nic1", "nat", "--nictype1", "82540EM"),
        (*modify, "--nic2", "intnet", "--intnet2", lab_network(LAB.hardware),
         "--nictype2", "82540EM"),
        (*modify, "--rtcuseutc", "on", "--ioapic", "on", "--vram", "16",
         "--graphicscontroller", "vmsvga"),
        *((*modify, *options) for options in Found(Path("VBoxManage"), (7, 2)).options()),
        (*drive, "--medium", "none"),
        (*modify, "--vrde", "off"),
        (*drive, "--medium", "emptydrive"),
        *((*modify, "--natpf1", forward_rule(each)) for each in LAB.hardware.forwards),
        (*modify, "--natpf1", "delete", "packercomm"),
        ("export", NAME, "--output", str(ova), "--options", "manifest,nomacs"),
    ):  # fmt: skip
        virtualbox.run(*command)

    exported = open_ova(ova)
    exported.verify()

    assert in_one_order(exported.hardware) == in_one_order(LAB.hardware)
    assert in_one_order(exported.hardware) != in_one_order(replace(LAB.hardware, memory=512))
