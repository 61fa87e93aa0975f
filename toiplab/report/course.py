"""The exam's own timeline: its parts, and the checks with phones, which run side by side."""

from __future__ import annotations

from collections.abc import Sequence

from toiplab.exam.runner import Outcome, Result
from toiplab.report.timeline import Chart, Span, draw

PART = "userspace"  # the look of a boot's phase, too


def chart(results: Sequence[Result], began: float) -> Chart | None:
    """The picture of an exam that began then; None if no check with phones ran.

    Between its parts the machine boots.
    """
    ran = [result for result in results if result.began and result.outcome is not Outcome.SKIP]
    played = sorted((result for result in ran if result.phones), key=lambda one: one.began)
    if not played:
        return None
    phases = []
    for part in dict.fromkeys(result.part for result in ran):
        of = [result for result in ran if result.part == part]
        phases.append(
            Span(
                part,
                min(result.began for result in of) - began,
                max(result.began + result.seconds for result in of) - began,
                PART,
            )
        )
    spans = [
        Span(
            _name(result),
            result.began - began,
            result.began - began + result.seconds,
            result.outcome.value,
        )
        for result in played
    ]
    return draw(phases, spans)


def _name(result: Result) -> str:
    """A check's name; nobody needs to see a colour to know that it did not pass."""
    passed = result.outcome is Outcome.PASS
    return result.check.name if passed else f"{result.check.name} ({result.outcome})"
