"""The page and the picture: goldens, and what they must say of those that did not run.

After a change: ``UPDATE_GOLDEN=1 .venv/bin/pytest tests/bench/test_bench_page.py``, then look.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from defusedxml import ElementTree

from toiplab.bench import plot, table
from toiplab.bench.bench import CONTESTS, Options, write
from toiplab.bench.contest import Measured, Outcome, Standing
from toiplab.bench.outcomes import Outcomes
from toiplab.errors import ToipLabError

GOLDEN = Path(__file__).parent.parent / "golden" / "bench"
OUTCOMES = (
    Outcome(
        "builds",
        "A bootable image of Debian, 3 packages",
        (
            Standing(
                "floor",
                "a tar",
                (Measured(50.0, 40.0, 900_000_000), Measured(54.0, 42.0, 900_000_000)),
            ),
            Standing(
                "ours", "OVA <with & without>", (Measured(81.25, 90.0, 285_400_000),), ours=True
            ),
            Standing("absent", "raw disk", reason="device-mapper: <none> here"),
        ),
    ),
    Outcome(
        "boot",
        "Power-on to SIP answer",
        (
            Standing("plain", "as apt leaves it", (Measured(40.0),)),
            Standing("ours", "the OVA", (Measured(9.5),), ours=True),
        ),
    ),
)
SETTING = table.Setting("invoke bench", (("processor", "2 × of some kind"), ("mmdebstrap", "1.3")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bench.md", table.page(OUTCOMES, SETTING, plot="bench.svg")),
        ("bench.svg", plot.picture(OUTCOMES)),
        ("bench.txt", "\n".join(line for each in OUTCOMES for line in table.lines(each)) + "\n"),
    ],
)
def test_golden(name: str, text: str) -> None:
    golden = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_picture_is_well_formed_and_its_bars_are_to_scale() -> None:
    root = ElementTree.fromstring(plot.picture(OUTCOMES))
    svg = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{svg}rect")][1:]
    words = [text.text for text in root.iter(f"{svg}text")]

    assert widths[0] / widths[1] == pytest.approx(52.0 / 81.25, rel=0.01)
    assert "could not run here" in words
    assert {"floor", "ours", "absent", "plain"} <= set(words)


def test_nobody_has_run_at_all() -> None:
    nobody = (Outcome("c", "T", (Standing("a", "does", reason="no"),)),)

    ElementTree.fromstring(plot.picture(nobody))
    assert "- a (does): `no`" in table.page(nobody, SETTING, plot="x.svg")


def test_both_files_appear(tmp_path: Path) -> None:
    page, picture = write(OUTCOMES, tmp_path / "docs", command="invoke bench")

    assert "(bench.svg)" in page.read_text(encoding="utf-8")
    assert picture.read_text(encoding="utf-8").startswith("<svg ")
    assert sorted(path.name for path in page.parent.iterdir()) == ["bench.md", "bench.svg"]


@pytest.mark.parametrize(
    ("rounds", "only", "said"),
    [
        ("0", "", "--rounds 0: not a number of rounds"),
        ("x", "", "--rounds x: not a number of rounds"),
        ("1", "builds,boats", "--only boats: no such contest"),
    ],
)
def test_options_that_cannot_be(rounds: str, only: str, said: str) -> None:
    with pytest.raises(ToipLabError, match=said):
        Options.typed(rounds=rounds, only=only)


def test_contests_are_held_in_one_order() -> None:
    assert Options.typed(rounds="1", only="").only == CONTESTS
    assert Options.typed(rounds="1", only="vmdk, builds").only == ("builds", "vmdk")


def test_outcomes_are_kept_by_the_packages_they_were_held_on(tmp_path: Path) -> None:
    builds, boot = OUTCOMES
    outcomes = Outcomes.on("a" * 64, tmp_path)
    outcomes.keep(boot)
    outcomes.keep(builds)
    outcomes.keep(Outcome("boot", "Another run", boot.standings))

    kept = outcomes.kept(("builds", "vmdk", "boot"))

    assert kept[0] == builds
    assert [each.title for each in kept] == [builds.title, "Another run"]
    assert Outcomes.on("b" * 64, tmp_path).kept(("builds", "boot")) == ()
