"""What stops the exam before it begins, and a machine that does not come up again."""

from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from tests.image.conftest import make_raw_disk
from toiplab import manifest
from toiplab.errors import ToipLabError
from toiplab.exam import smoke
from toiplab.exam.first import FIRST_EXAM
from toiplab.exam.runner import Outcome
from toiplab.host import PROJECT, Finished
from toiplab.image import ova, ovf, vmdk
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.machine.waiting import DeadlineError
from toiplab.manifest import LabRecord, Manifest
from toiplab.progress import Progress


@pytest.fixture
def lab_file(tmp_path):
    path = tmp_path / "labs/isi.yml"
    path.parent.mkdir()
    shutil.copy(PROJECT / "labs/isi.yml", path)
    secrets.for_lab(load(path), path)
    return path


@pytest.fixture
def built_ova(tmp_path, lab_file):
    """A whole OVA of a disk that boots nothing, with its manifest."""
    raw = make_raw_disk(tmp_path / "disk.raw")
    disk = tmp_path / "toip-disk1.vmdk"
    info = vmdk.write(raw, disk)
    facts = ovf.DiskFacts(disk.name, disk.stat().st_size, info.capacity, info.uuid)
    path = tmp_path / "toip.ova"
    ova.write(path, descriptor=ovf.write(load(lab_file).hardware, facts), disk=disk)
    record = Manifest(
        toip_lab="0.1.0",
        builder="direct",
        tools={},
        lab=LabRecord(
            name="isi",
            file=str(lab_file),
            sha256=hashlib.sha256(lab_file.read_bytes()).hexdigest(),
        ),
        inputs_sha256="",
        release="bullseye",
        debian="11.11",
        epoch=1700000000,
        sources=(),
        indexes=(),
        substitutions=(),
        packages=(),
        disk_uuid=str(info.uuid),
        ova=path.name,
        ova_sha256="",
        ova_bytes=path.stat().st_size,
        stages=(),
    )
    manifest.write(record, path)
    return path


def test_a_candidate_is_read_with_all_that_belongs_to_it(built_ova, lab_file):
    candidate = smoke.read_candidate(built_ova)

    assert candidate.lab == load(lab_file)
    assert candidate.ova.hardware == candidate.lab.hardware
    assert candidate.secrets == secrets.for_lab(candidate.lab, lab_file)


def refused(built_ova, lab_file=None):
    with pytest.raises(ToipLabError) as refusal:
        smoke.read_candidate(built_ova, lab_file)
    return str(refusal.value)


def test_a_changed_lab_file_is_refused(built_ova, lab_file):
    lab_file.write_text(lab_file.read_text().replace("seconds: 45", "seconds: 60"))

    assert refused(built_ova) == (
        f"{lab_file}: not as it was when toip.ova was built\n"
        "  build again (make ova), or name that lab file with --lab"
    )


def test_another_lab_file_may_stand_in(built_ova, lab_file, tmp_path):
    copy = tmp_path / "copy.yml"
    shutil.copy(lab_file, copy)
    shutil.copy(secrets.path_for(lab_file), secrets.path_for(copy))
    lab_file.unlink()

    assert smoke.read_candidate(built_ova, copy).lab.name == "isi"


def test_without_secrets_nobody_can_log_in(built_ova, lab_file):
    secrets.path_for(lab_file).unlink()

    assert refused(built_ova).startswith(
        f"{secrets.path_for(lab_file)}: absent, so nobody can log in to toip.ova"
    )
    assert not secrets.path_for(lab_file).exists()


def test_a_manifest_of_another_ova_is_refused(built_ova):
    os.truncate(built_ova, built_ova.stat().st_size + 512)

    assert "speaks of another file (toip.ova, " in refused(built_ova)


def test_no_manifest(built_ova):
    manifest.path_for(built_ova).unlink()

    assert refused(built_ova) == (
        f"{manifest.path_for(built_ova)}: No such file or directory\n"
        "  the build writes it beside the OVA; keep the two together"
    )


def test_no_ova_to_boot(tmp_path):
    with pytest.raises(ToipLabError, match=r"no OVA to boot\n  build one: make ova"):
        smoke.newest_ova(tmp_path)


def test_the_newest_ova(tmp_path):
    for age, name in enumerate(("z.ova", "a.ova")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))

    assert smoke.newest_ova(tmp_path).name == "a.ova"


def test_a_damaged_disk_stops_the_exam(built_ova, tmp_path):
    content = bytearray(built_ova.read_bytes())
    content[-4096] ^= 0xFF
    built_ova.write_bytes(content)

    with pytest.raises(ToipLabError, match="broken OVA"):
        smoke.smoke(built_ova, logs=tmp_path / "logs", progress=Progress())


class NeverComesBack:
    def reboot(self):
        raise DeadlineError("the guest did not show a login prompt within 240 s")


class Answers:
    def act(self, command):
        return Finished(0, "")


def test_a_machine_that_does_not_come_up_again_leaves_errors():
    checks = FIRST_EXAM[:2]

    results = smoke.after_reboot(NeverComesBack(), Answers(), checks, Progress())

    assert [(result.part, result.outcome) for result in results] == [
        ("after a reboot", Outcome.ERROR)
    ] * 2
    assert results[0].told == ("not looked at: the guest did not show a login prompt within 240 s")
