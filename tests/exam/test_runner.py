from __future__ import annotations

import dataclasses
import io
import re
import subprocess

import pytest
from rich.console import Console

from toiplab.exam import junit
from toiplab.exam.registry import Check, CheckFailedError, Fact, NotHereError, agree, check
from toiplab.exam.runner import Outcome, Report, missed, print_summary, run_check, run_exam
from toiplab.exam.subject import MachineGuest
from toiplab.host import Finished
from toiplab.machine.waiting import DeadlineError, GuestError, MachineGoneError
from toiplab.phones.handset import PhoneBrokenError, PhoneError
from toiplab.progress import Progress


def passes(subject):
    return "[as] it should be"


def fails(subject):
    raise CheckFailedError("parking time: expected 45 sec, saw 10 sec; slots: expected 2, saw 1")


def cannot_look(subject):
    raise DeadlineError("the guest did not end this within 60 s")


def cannot_read(subject):
    return str(int("many"))


def finds_it_gone(subject):
    raise MachineGoneError("the machine ended")


PASSES, FAILS = Check("A1", "this passes", passes), Check("A6", "this fails", fails)
CANNOT, GONE = Check("A8", "cannot look", cannot_look), Check("A9", "it is gone", finds_it_gone)


class Silent:
    def __init__(self, error=None):
        self.error = error

    def act(self, command):
        if self.error:
            raise self.error
        return ""


@pytest.fixture
def progress():
    return Progress(Console(file=io.StringIO(), width=80, highlight=False))


def examined(progress, *checks, subject=None):
    return Report(tuple(run_exam(subject or Silent(), checks, progress, part="first boot")))


def printed(progress):
    return progress.console.file.getvalue()


@pytest.mark.parametrize(
    ("checks", "status"),
    [((PASSES,), 0), ((PASSES, FAILS), 1), ((FAILS, CANNOT), 2), ((), 2)],
)
def test_exit_status(progress, checks, status):
    assert examined(progress, *checks).status == status


def test_each_check_is_one_line_in_a_pipe(progress):
    examined(progress, PASSES, FAILS)

    assert printed(progress).splitlines() == [
        "A1    PASS  this passes (0.0 s): [as] it should be",
        "A6    FAIL  this fails (0.0 s): "
        "parking time: expected 45 sec, saw 10 sec; slots: expected 2, saw 1",
    ]


def test_the_summary_tells_every_failure_in_full(progress):
    report = examined(progress, PASSES, FAILS)
    progress.console.file.truncate(0)
    progress.console.file.seek(0)

    print_summary(report, progress)

    assert printed(progress).splitlines() == [
        "! A6 FAIL (first boot): this fails",
        "    parking time: expected 45 sec, saw 10 sec",
        "    slots: expected 2, saw 1",
        "2 checks: 1 passed, 1 failed, 0 could not look, 0 skipped",
    ]


def test_a_check_that_cannot_look_stops_no_other(progress):
    outcomes = [result.outcome for result in examined(progress, CANNOT, PASSES).results]

    assert outcomes == [Outcome.ERROR, Outcome.PASS]


def test_what_cannot_be_read_is_an_error(progress):
    report = examined(progress, Check("D3", "reads a number", cannot_read), PASSES)

    broken, other = report.results
    assert (broken.outcome, other.outcome) == (Outcome.ERROR, Outcome.PASS)
    assert re.fullmatch(
        r"the check itself broke at test_runner\.py:\d+: ValueError: "
        r"invalid literal for int\(\) with base 10: 'many'",
        broken.told,
    )


@pytest.mark.parametrize("error", [MachineGoneError("ended"), GuestError("no login")])
def test_once_the_machine_does_not_answer_the_rest_are_errors(progress, error):
    subject = Silent(error)
    report = examined(progress, PASSES, GONE, PASSES, FAILS, subject=subject)

    assert [result.told for result in report.results] == [
        "[as] it should be",
        "the machine ended",
        "not looked at: the machine does not answer since A9 finds_it_gone",
        "not looked at: the machine does not answer since A9 finds_it_gone",
    ]
    assert report.status == 2


def test_checks_that_could_not_begin(progress):
    results = list(missed((PASSES,), progress, part="after a reboot", why="no login prompt"))

    assert [(r.outcome, r.told) for r in results] == [
        (Outcome.ERROR, "not looked at: no login prompt")
    ]


def test_agree_names_every_fact_that_differs():
    with pytest.raises(CheckFailedError) as failure:
        agree(
            Fact("port", 22, 2222),
            Fact("cards", {"b", "a"}, set()),
            Fact("same", "x", "x"),
            Fact("locked", True, False),
        )

    assert str(failure.value) == (
        "port: expected 22, saw 2222; cards: expected a b, saw nothing; "
        "locked: expected yes, saw no"
    )


def test_a_decorated_function_is_a_check_with_a_name():
    @check("A6", "parking")
    def parking(subject):
        return "seen"

    assert (parking.name, run_check(Silent(), parking).told) == ("A6 parking", "seen")


def test_junit(progress, tmp_path):
    path = tmp_path / "junit.xml"

    junit.write(examined(progress, PASSES, FAILS, CANNOT), path)

    text = path.read_text()
    assert '<testsuite name="first boot" tests="3" failures="1" errors="1"' in text
    assert text.count("<testcase") == 3
    assert "<system-out>[as] it should be</system-out>" in text
    assert '<failure message="parking time: expected 45 sec, saw 10 sec;' in text
    assert '<error message="the guest did not end this within 60 s"' in text


def test_junit_takes_what_xml_does_not(progress, tmp_path):
    def odd(subject):
        return "bell \x07, escape \x1b, lone \udc80"

    junit.write(examined(progress, Check("A1", "odd", odd)), tmp_path / "junit.xml")

    assert "bell ?, escape ?, lone ?" in (tmp_path / "junit.xml").read_text()


class Bash:
    """Runs a guest's scripts here, in a bash of their own."""

    def __init__(self, lines=None):
        self.lines = lines
        self.runs = 0

    def run(self, script, *, timeout):
        self.runs += 1
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=timeout, check=False
        )
        output = "".join(done.stdout.splitlines(keepends=True)[: self.lines])
        return Finished(done.returncode, output)


def test_commands_asked_together_come_back_apart():
    bash = Bash()

    answers = MachineGuest(bash).ask("echo 'a $b'; exit 3", "true", "printf 'no newline'")

    assert answers == (Finished(3, "a $b\n"), Finished(0, ""), Finished(0, "no newline"))
    assert bash.runs == 1


def test_an_answer_cut_short_is_an_error():
    with pytest.raises(GuestError, match="this was cut short: echo two"):
        MachineGuest(Bash(lines=3)).ask("echo one", "echo two")


class Counting:
    def __init__(self):
        self.asked = []

    def ask(self, *commands):
        self.asked.append(commands)
        return tuple(Finished(0, f"answer {len(self.asked)}") for _ in commands)


def test_what_was_asked_is_remembered_until_something_is_done(subject):
    guest = Counting()
    examined = dataclasses.replace(subject, guest=guest)

    assert examined.ask("date", "uptime") == ("answer 1", "answer 1")
    assert examined.ask("date", "hostname") == ("answer 1", "answer 2")
    assert examined.act("reload").output == "answer 3"
    assert examined.ask("date") == ("answer 4",)
    assert guest.asked == [("date", "uptime"), ("hostname",), ("reload",), ("date",)]


def test_an_exam_that_looked_at_nothing_could_not_run(progress):
    def nothing(subject):
        raise NotHereError("no lab network")

    report = examined(progress, Check("D3", "leases", nothing))

    assert report.status == 2
    print_summary(report, progress)
    assert "D3 skipped: leases: no lab network" in printed(progress)


def test_a_phone_that_waits_in_vain_is_a_failure_and_a_broken_one_is_not(progress):
    def in_vain(subject):
        raise PhoneError("5001 is not called after 10 s")

    def broken(subject):
        raise PhoneBrokenError("baresip ended with status 1")

    outcomes = [
        result.outcome
        for result in examined(
            progress, Check("A4", "in vain", in_vain), Check("A4", "broken", broken)
        ).results
    ]

    assert outcomes == [Outcome.FAIL, Outcome.ERROR]
