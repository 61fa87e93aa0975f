"""What is made of boots that were measured."""

from __future__ import annotations

from toiplab.bench.boot import Boot, table


def test_each_name_has_its_median_and_its_part_of_the_first():
    boots = [
        Boot("plain", 80.0, 40.0),
        Boot("ours", 30.0, 20.0),
        Boot("plain", 100.0, 50.0),
        Boot("ours", 60.0, 25.0),
    ]

    assert table(boots).splitlines() == [
        "plain                  90.0 s (1.00)  processor   45.0 s (1.00)",
        "ours                   45.0 s (0.50)  processor   22.5 s (0.50)",
    ]
