"""What is made of boots that were measured."""

from __future__ import annotations

from toiplab.bench.contest import Measured, Outcome, Standing


def test_each_has_its_median_and_its_part_of_the_first():
    plain = Standing("plain", "", (Measured(80.0, 40.0), Measured(100.0, 50.0)))
    ours = Standing("ours", "", (Measured(30.0, 20.0), Measured(60.0, 25.0)))
    outcome = Outcome("boot", "", (plain, ours))

    assert [(each.median, each.processor) for each in (plain, ours)] == [(90.0, 45.0), (45.0, 22.5)]
    assert [outcome.ratio(each) for each in (plain, ours)] == [1.0, 0.5]
    assert [outcome.processor_ratio(each) for each in (plain, ours)] == [1.0, 0.5]
