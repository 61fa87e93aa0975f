"""Every OVA in the real VirtualBox: imported, read back, exported; and that export boots."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests import small_ova
from tests.image.conftest import make_raw_disk
from tests.virtualbox.chroot import VirtualBox
from tests.virtualbox.shown import Shown, differing, imported, read_back, wanted
from toiplab.bench import vmdk as bench
from toiplab.builders.pack import in_one_order
from toiplab.errors import ToipLabError
from toiplab.hardware import Hardware, NatAdapter
from toiplab.host import PROJECT
from toiplab.image import ova, ovf, vmdk
from toiplab.image.ova import Ova, open_ova
from toiplab.image.ovf import DiskFacts
from toiplab.lab.load import load
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk

pytestmark = [pytest.mark.boot, pytest.mark.apart]

LAB_FILE = PROJECT / "labs/isi.yml"
LAB = load(LAB_FILE)
NAME = LAB.hardware.name
LOGS = PROJECT / "build/imported"


@pytest.fixture(scope="module")
def box(chroot: Path, tmp_path_factory: pytest.TempPathFactory) -> VirtualBox:
    """A VirtualBox for the OVAs that ship; it keeps what was imported."""
    shared = tmp_path_factory.mktemp("virtualbox")
    return VirtualBox.install(chroot, shared / "bin", shared)


@pytest.fixture(scope="module")
def machine(box: VirtualBox, ova: Path) -> Shown:
    """The machine of the default lab, imported once."""
    return imported(box, ova)


def test_the_machine_is_what_the_lab_file_says(machine: Shown, ova: Path) -> None:
    assert machine == wanted(LAB.hardware, open_ova(ova).disk.name)
    assert machine.boot == ("disk", "dvd")
    assert "ssh,tcp,127.0.0.1,2222,,22" in machine.forwards
    assert ("intnet", "82540EM", "toip-lab") in machine.adapters


def test_the_machine_of_a_class_too(box: VirtualBox, class_ova: Path) -> None:
    hardware = load(PROJECT / "labs/classe.yml").hardware
    assert imported(box, class_ova) == wanted(hardware, open_ova(class_ova).disk.name)


@pytest.fixture(scope="module")
def exported(box: VirtualBox, machine: Shown) -> Ova:
    """What VirtualBox makes of the machine that it imported."""
    path = box.folder / "exported.ova"
    box.run("export", machine.name, "--output", str(path), "--options", "manifest,nomacs")
    return open_ova(path)


def test_the_export_is_the_same_machine_and_boots(exported: Ova) -> None:
    exported.verify()
    assert in_one_order(exported.hardware) == in_one_order(LAB.hardware)
    apart = replace(LAB.hardware, adapters=(NatAdapter(()), *LAB.hardware.adapters[1:]))
    with Machine(apart, Disk(exported.backing(), "vmdk"), LOGS) as running:
        running.boot()


def altered(hardware: Hardware) -> list[tuple[tuple[str, ...], str]]:
    """What may be changed of a machine, and the one thing that then differs."""
    modify = ("modifyvm", NAME)
    attach = ("storageattach", NAME, "--port", "0", "--device", "0", "--storagectl")
    return [
        ((*modify, "--ostype", "Debian12_64"), "os_type"),
        ((*modify, "--memory", str(hardware.memory + 1)), "memory"),
        ((*modify, "--cpus", str(hardware.cpus + 1)), "cpus"),
        ((*modify, "--boot1", "dvd", "--boot2", "disk"), "boot"),
        ((*modify, "--natpf1", "delete", "ssh"), "forwards"),
        ((*modify, "--natpf1", "web,tcp,127.0.0.1,8080,,80"), "forwards"),
        ((*modify, "--nic2", "nat"), "adapters"),
        ((*modify, "--intnet2", "another"), "adapters"),
        ((*modify, "--nic3", "intnet"), "adapters"),
        ((*modify, "--nictype1", "virtio"), "adapters"),
        ((*modify, "--audio-enabled", "on", "--audio-driver", "default"), "audio"),
        ((*modify, "--rtcuseutc", "off"), "utc"),
        ((*attach, "SATA", "--medium", "none"), "storage"),
        ((*attach, "IDE", "--medium", "none"), "storage"),
        (("storagectl", NAME, "--name", "IDE", "--controller", "PIIX3"), "storage"),
    ]


@pytest.mark.parametrize(("command", "field"), altered(LAB.hardware))
def test_a_machine_that_is_not_the_labs_is_seen(
    virtualbox: VirtualBox, tmp_path: Path, command: tuple[str, ...], field: str
) -> None:
    made = small_ova.make(tmp_path / "small.ova", LAB_FILE)
    right = wanted(LAB.hardware, made.disk.name)
    assert imported(virtualbox, made.path) == right

    virtualbox.run(*command)

    assert differing(read_back(virtualbox, NAME), right) == [field]


def medium(box: VirtualBox, path: Path) -> str:
    """How VirtualBox finds a disk that it is shown."""
    told = box.run("showmediuminfo", "disk", str(path))
    return dict(line.split(":", 1) for line in told.splitlines() if ":" in line)["State"].strip()


def test_as_a_disk_of_its_own_our_vmdk_is_taken_and_qemu_imgs_is_not(
    virtualbox: VirtualBox, tmp_path: Path
) -> None:
    """It has no uuid."""
    raw = tmp_path / "disk.raw"
    raw.write_bytes(b"toip-lab".ljust(1 << 20, b"\0"))
    ours, theirs, cut = (tmp_path / f"{name}.vmdk" for name in ("ours", "theirs", "cut"))
    vmdk.write(raw, ours)
    bench.with_qemu_img(raw, theirs)
    cut.write_bytes(ours.read_bytes()[:-512])

    assert medium(virtualbox, ours) == "created"
    assert medium(virtualbox, theirs) == "inaccessible"
    with pytest.raises(subprocess.CalledProcessError):
        medium(virtualbox, cut)


def test_inside_an_ova_qemu_imgs_vmdk_is_taken_too(virtualbox: VirtualBox, tmp_path: Path) -> None:
    disk = tmp_path / "theirs.vmdk"
    bench.with_qemu_img(make_raw_disk(tmp_path / "disk.raw"), disk)
    facts = DiskFacts(disk.name, disk.stat().st_size, 33 << 20, uuid4())
    made = ova.write(tmp_path / "x.ova", descriptor=ovf.write(LAB.hardware, facts), disk=disk)

    assert imported(virtualbox, made.path) == wanted(LAB.hardware, disk.name)
    with pytest.raises(ToipLabError, match="the header is not a streamOptimized VMDK's"):
        made.verify()
