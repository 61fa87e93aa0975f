"""The outcome of a benchmark as a page of Markdown, and as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toiplab.bench.contest import Outcome, Standing

MEGABYTE = 1_000_000
TWO_DIGITS = 10  # from here on one decimal is enough
HEADER = (
    "| | median | least – most | ratio | processor | ratio | size | what it makes |\n"
    "|---|--:|--:|--:|--:|--:|--:|---|\n"
)


@dataclass(frozen=True)
class Setting:
    """Where and on what a benchmark was run: the command, and facts as pairs of name and value."""

    command: str
    facts: tuple[tuple[str, str], ...]


def page(outcomes: Sequence[Outcome], setting: Setting, *, plot: str) -> str:
    """The page; ``plot`` is the file name of the picture beside it."""
    facts = "".join(f"| {name} | {value} |\n" for name, value in setting.facts)
    return (
        "# Benchmark\n\n"
        f"Written by `{setting.command}`. All contestants of a table ran in turn in one run, from\n"
        "one package archive on loopback. Seconds are this machine's; the ratios, to the\n"
        "first row, are what to compare. Those of the processors' time hardly depend on what else\n"
        "the machine did. A row without a spread is one run. The other tools run in a Debian 13\n"
        "of their own. mmdebstrap alone makes no image; toip-lab, beside it, makes one, but\n"
        "unpacks less ([size.md](size.md)), and into memory, where there is enough.\n\n"
        f"![The medians as bars]({plot})\n"
        + "".join(f"\n## {each.title}\n\n{table(each)}" for each in outcomes)
        + f"\n## Where\n\n| | |\n|---|---|\n{facts}"
    )


def table(outcome: Outcome) -> str:
    """One contest; who could not run is named below, with the reason."""
    rows = "".join(_row(outcome, each) for each in outcome.standings if each.ran)
    absent = [each for each in outcome.standings if not each.ran]
    could_not = "".join(f"- {each.name} ({each.does}): `{each.reason}`\n" for each in absent)
    return HEADER + rows + (f"\nCould not run here:\n\n{could_not}" if absent else "")


def _row(outcome: Outcome, standing: Standing) -> str:
    name = f"**{standing.name}**" if standing.ours else standing.name
    cells = (
        name,
        f"{seconds(standing.median)} s",
        spread(standing),
        _ratio(outcome.ratio(standing)),
        "–" if standing.processor is None else f"{seconds(standing.processor)} s",
        _ratio(outcome.processor_ratio(standing)),
        size(standing),
        standing.does,
    )
    return f"| {' | '.join(cells)} |\n"


def lines(outcome: Outcome) -> list[str]:
    """One contest for the terminal, a line for each contestant."""
    width = max(len(each.name) for each in outcome.standings)
    return [
        f"{each.name:{width}}  {ratio(outcome, each):>6}  {seconds(each.median):>6} s"
        + (f"  {size(each)}" if each.size is not None else "")
        if each.ran
        else f"{each.name:{width}}  could not run here: {each.reason}"
        for each in outcome.standings
    ]


def ratio(outcome: Outcome, standing: Standing) -> str:
    """A standing's time in terms of the first one's, as text; a dash where there is none."""
    return _ratio(outcome.ratio(standing))


def _ratio(found: float | None) -> str:
    return "–" if found is None else f"{found:.2f}"


def seconds(value: float) -> str:
    """A time with three digits that count."""
    return f"{value:.2f}" if value < TWO_DIGITS else f"{value:.1f}"


def spread(standing: Standing) -> str:
    """The shortest and the longest time; a dash where there was one round only."""
    times = standing.seconds
    return f"{seconds(times[0])} – {seconds(times[-1])} s" if len(times) > 1 else "–"


def size(standing: Standing) -> str:
    """The size of the result, as text; a dash where there is none."""
    return "–" if standing.size is None else f"{standing.size / MEGABYTE:.0f} MB"
