from __future__ import annotations

import re
import subprocess

import pytest

from toiplab.report import boots
from toiplab.report.boots import TIMELINE_COMMAND
from toiplab.report.timeline import Mark

MANAGER = "UserspaceTimestampMonotonic=6000000\nFinishTimestampMonotonic=31000000"


def unit(name, began, active, ended=0):
    return (
        f"Id={name}\nInactiveExitTimestampMonotonic={began}\n"
        f"ActiveEnterTimestampMonotonic={active}\nInactiveEnterTimestampMonotonic={ended}"
    )


def told(*blocks):
    return "\n\n".join((MANAGER, *blocks)) + "\n"


def seen(text):
    return [(unit.name, unit.began, unit.ended) for unit in boots.read(text).units]


def test_units_in_the_order_they_began():
    text = told(
        unit("asterisk.service", 20000000, 29500000),
        unit("systemd-journald.service", 7000000, 8000000),
    )
    assert seen(text) == [("systemd-journald", 7, 8), ("asterisk", 20, 29.5)]


def test_what_runs_once_has_started_when_it_has_ended():
    assert seen(told(unit("e2scrub_reap.service", 9000000, 0, 11000000))) == [
        ("e2scrub_reap", 9, 11)
    ]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(unit("emergency.service", 0, 0), id="never started"),
        pytest.param(unit("slow.service", 9000000, 0), id="is starting still"),
        pytest.param(unit("restarted.service", 90000000, 91000000), id="after the boot"),
        pytest.param(unit("quick.service", 9000000, 9000000), id="took no time"),
        pytest.param("Id=\nnonsense", id="nonsense"),
    ],
)
def test_what_is_not_shown(block):
    assert seen(told(block)) == []


def test_the_slowest_and_the_courses_own():
    quick = unit("ssh.service", 20000000, 20000000)
    slow = [unit(f"u{n}.service", 7000000, 7000000 + n * 1000) for n in range(1, 40)]
    names = [name for name, _, _ in seen(told(quick, *slow))]
    assert len(names) == boots.SLOWEST
    assert "ssh" in names
    assert "u39" in names
    assert "u1" not in names


def test_marks_and_phases():
    text = told(unit("multi-user.target", 30900000, 30900000))
    read = boots.read(text.replace("\n", "\r\n"), (Mark(29.0, "SIP answers"),))
    assert (read.userspace, read.finished) == (6, 31)
    assert read.marks == (Mark(29.0, "SIP answers"), Mark(30.9, "multi-user.target"))


@pytest.mark.parametrize("text", ["", "bash: systemctl: command not found", MANAGER[:20]])
def test_no_boot(text):
    assert boots.read(text) is None


def test_a_boot_that_has_not_finished():
    read = boots.read(told().replace("31000000", "0"))
    assert read.finished == 0
    assert read.chart().bars == ()


def test_the_picture_holds_every_bar():
    text = told(
        unit("first.service", 6000000, 7000000),
        unit("long.service", 1000000, 31000000),
        unit("late.service", 30000000, 31000000),
    )
    chart = boots.read(text).chart()
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= chart.width
        assert bar.y < chart.height
    sides = {bar.span.name: (bar.words_end, bar.words_x > bar.x + bar.width) for bar in chart.bars}
    assert sides == {
        "first": (False, True),  # its name right of it,
        "long": (False, False),  # on it,
        "late": (True, False),  # and left of it
    }


def test_the_command_is_bash():
    subprocess.run(["bash", "-n", "-c", TIMELINE_COMMAND], check=True)
    assert not re.search(r"systemd-analyze", TIMELINE_COMMAND)  # it fails before the boot ends
