from __future__ import annotations

from toiplab.exam.registry import Check
from toiplab.exam.runner import Outcome, Result
from toiplab.report import course

BEGAN = 1_700_000_000.0


def look(subject):
    return ""


def result(part, row, at, seconds, *, phones=("5001",), outcome=Outcome.PASS):
    return Result(part, Check(row, "title", look), outcome, "", seconds, BEGAN + at, phones)


def test_parts_and_checks_with_phones():
    chart = course.chart(
        [
            result("first boot", "V1", 40, 1, phones=()),
            result("first boot", "A1", 45, 5, phones=()),
            result("with phones", "A5", 51, 30),
            result("with phones", "A4", 50, 20, outcome=Outcome.FAIL),
            result("with phones", "D3", 50, 0, outcome=Outcome.SKIP),
        ],
        BEGAN,
    )
    spans = [bar.span for bar in (*chart.phases, *chart.bars)]
    assert [(span.name, span.began, span.ended, span.kind) for span in spans] == [
        ("first boot", 40, 50, "userspace"),
        ("with phones", 50, 81, "userspace"),
        ("A4 look (fail)", 50, 70, "fail"),
        ("A5 look", 51, 81, "pass"),
    ]


def test_no_phones_no_picture():
    assert course.chart([result("first boot", "V1", 1, 1, phones=())], BEGAN) is None
    assert course.chart([], BEGAN) is None
