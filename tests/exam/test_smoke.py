"""What stops the exam before it begins, and a machine that does not come up again."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
from contextlib import ExitStack, contextmanager, nullcontext

import pytest
from rich.console import Console

from tests import small_ova
from toiplab import manifest
from toiplab.errors import ToipLabError
from toiplab.exam import smoke, ssh
from toiplab.exam.candidate import newest_ova, read_candidate
from toiplab.exam.places import LabPhones
from toiplab.exam.plan import FIRST_EXAM, Plan
from toiplab.exam.registry import Check
from toiplab.exam.results import Results
from toiplab.exam.runner import Outcome
from toiplab.host import PROJECT, Finished
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.machine.lan.capture import CaptureError
from toiplab.machine.waiting import DeadlineError, GuestError
from toiplab.progress import Progress
from toiplab.report.boots import TIMELINE_COMMAND


@pytest.fixture
def lab_file(tmp_path):
    path = tmp_path / "labs/isi.yml"
    path.parent.mkdir()
    shutil.copy(PROJECT / "labs/isi.yml", path)
    secrets.for_lab(load(path), path)
    return path


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80, highlight=False)


@pytest.fixture
def built_ova(tmp_path, lab_file):
    """A whole OVA of a disk that boots nothing, with its manifest."""
    return small_ova.make(tmp_path / "toip.ova", lab_file).path


def test_a_candidate_is_read_with_all_that_belongs_to_it(built_ova, lab_file):
    candidate = read_candidate(built_ova)

    assert candidate.lab == load(lab_file)
    assert candidate.ova.hardware == candidate.lab.hardware
    assert candidate.secrets == secrets.for_lab(candidate.lab, lab_file)


def refused(built_ova, lab_file=None):
    with pytest.raises(ToipLabError) as refusal:
        read_candidate(built_ova, lab_file)
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

    assert read_candidate(built_ova, copy).lab.name == "isi"


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
    with pytest.raises(ToipLabError, match=r"no OVA\n  build one: make ova"):
        newest_ova(tmp_path)


def test_the_newest_ova(tmp_path):
    for age, name in enumerate(("z.ova", "a.ova")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))

    assert newest_ova(tmp_path).name == "a.ova"


def test_a_damaged_disk_stops_the_exam(built_ova, tmp_path):
    content = bytearray(built_ova.read_bytes())
    content[-4096] ^= 0xFF
    built_ova.write_bytes(content)

    with pytest.raises(ToipLabError, match="broken VMDK"):
        smoke.smoke(built_ova, Results(tmp_path / "report"), options=QUICK, progress=Progress())


NO_PROMPT = "the guest did not show a login prompt within 240 s"
QUICK = smoke.Options(plan=Plan(FIRST_EXAM[:2], (), FIRST_EXAM[:2]))


class Unplugged:
    """A machine that is on, and of which there is nothing to be seen from outside."""

    def start(self):
        pass

    def capture(self, adapter, file):
        return nullcontext()

    def wait_for_login(self):
        pass

    def reboot(self):
        pass

    def screenshot(self, image):
        raise GuestError("no screen")


class NeverComesUp(Unplugged):
    def wait_for_login(self):
        raise DeadlineError(NO_PROMPT)

    reboot = wait_for_login


def examination(machine, subject, tmp_path):
    return smoke.Examination(subject, machine, Results(tmp_path), Progress())


def told(results):
    return [(result.part, result.outcome, result.told) for result in results]


def test_a_machine_that_does_not_come_up_leaves_errors(subject, tmp_path):
    exam = examination(NeverComesUp(), subject, tmp_path)

    with ExitStack() as recording:
        assert (
            told(exam.first_boot(FIRST_EXAM[:2], recording))
            == [("first boot", Outcome.ERROR, f"not looked at: {NO_PROMPT}")] * 2
        )


def test_a_machine_that_does_not_come_up_again_leaves_errors(subject, guest, tmp_path):
    guest.answers["true"] = Finished(0, "")
    exam = examination(NeverComesUp(), subject, tmp_path)

    assert (
        told(exam.after_reboot(FIRST_EXAM[:2]))
        == [("after a reboot", Outcome.ERROR, f"not looked at: {NO_PROMPT}")] * 2
    )


class Renewed(Unplugged):
    """A machine that makes its keys, or its machine-id, anew at every boot."""

    def __init__(self, guest, *turned):
        self.guest, self.turned = guest, turned

    def reboot(self):
        self.guest.turn(*self.turned)


@pytest.mark.parametrize(
    ("turned", "message"),
    [
        (("ssh-keygen -lf", "SHA256:", "SHA256:x"), "host keys since the boot before: expected "),
        (("cat /etc/machine-id", "\n", "0\n"), "machine-id since the boot before: expected "),
        (("hostname", "toip", "toip"), ""),
    ],
)
def test_another_identity_after_the_reboot_is_seen(turned, message, subject, guest, tmp_path):
    guest.answers["true"] = Finished(0, "")
    guest.answers[TIMELINE_COMMAND] = Finished(0, "")

    (result,) = examination(Renewed(guest, *turned), subject, tmp_path).after_reboot(
        (ssh.own_identity,)
    )

    assert result.outcome is (Outcome.FAIL if message else Outcome.PASS), result.told
    assert message in result.told


def test_a_mistake_leaves_the_last_report_alone(tmp_path):
    (tmp_path / "index.html").write_text("of yesterday")

    with pytest.raises(ToipLabError, match=r"none\.ova: no such file\n  the builds are in dist/"):
        smoke.smoke(tmp_path / "none.ova", Results(tmp_path), options=QUICK, progress=Progress())

    assert (tmp_path / "index.html").read_text() == "of yesterday"


def test_nothing_of_the_last_exam_is_taken_for_this_one_s(built_ova, tmp_path, monkeypatch):
    monkeypatch.setattr(smoke.Machine, "start", NeverComesUp.wait_for_login)
    for name in ("junit.xml", "index.html", "lab.pcap", "calls/A4-call/5001/x.wav"):
        (tmp_path / "report" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "report" / name).write_text("of yesterday")

    smoke.smoke(built_ova, Results(tmp_path / "report"), options=QUICK, progress=Progress())

    left = [path for path in (tmp_path / "report").rglob("*") if path.is_file()]
    assert not [path for path in left if b"of yesterday" in path.read_bytes()]


def test_an_ova_of_another_lab_is_told(built_ova):
    with pytest.raises(ToipLabError, match=r"is lab classe, and toip\.ova was built from "):
        read_candidate(built_ova, PROJECT / "labs/classe.yml")


def test_a_machine_that_never_boots_has_its_results_written(
    built_ova, tmp_path, monkeypatch, console
):
    monkeypatch.setattr(smoke.Machine, "start", NeverComesUp.wait_for_login)
    results = Results(tmp_path / "report")

    status = smoke.smoke(built_ova, results, options=QUICK, progress=Progress(console))

    assert status == 2
    assert results.junit.read_text().count("<error ") == 4
    assert NO_PROMPT in results.page.read_text()
    assert "4 checks: 0 passed, 0 failed, 4 could not look" in console.file.getvalue()


def never(subject):
    raise AssertionError("nobody plays with a machine that did not boot")


def test_a_machine_that_does_not_come_up_is_not_played_with(subject, tmp_path):
    plan = Plan(FIRST_EXAM[:1], (Check("A4", "a call", never),), ())

    results = list(examination(NeverComesUp(), subject, tmp_path).run(plan))

    assert told(results)[1] == (
        "with phones",
        Outcome.ERROR,
        "not looked at: the machine did not boot",
    )


class Unrecorded:
    """A lab network of which no capture can be made, or that loses frames."""

    def __init__(self, when):
        self.when = when

    @contextmanager
    def capture(self, file):
        if self.when == "beginning":
            raise CaptureError("no capture")
        yield
        raise CaptureError("not whole")


@pytest.mark.parametrize(
    ("when", "warning"), [("beginning", "! no capture"), ("end", "! not whole")]
)
def test_a_capture_that_fails_spoils_no_exam(when, warning, subject, tmp_path, console):
    phones = LabPhones(Unrecorded(when), subject.lab, subject.secrets)
    exam = smoke.Examination(
        dataclasses.replace(subject, phones=phones),
        Unplugged(),
        Results(tmp_path),
        Progress(console),
    )

    (result,) = exam.with_phones([Check("A4", "a call", lambda _: "made")])

    assert result.outcome is Outcome.PASS
    assert warning in console.file.getvalue()
