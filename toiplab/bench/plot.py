"""The outcome of a benchmark as a picture (SVG) that reads on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from toiplab.bench import table
from toiplab.bench.contest import Outcome, Standing

WIDTH, MARGIN = 860, 16
NAMES = 270  # where the bars start, in user units (pixels at full size)
NUMBERS = 150  # room on the right of the longest bar
ROW, BAR, HEADING, GAP = 26, 16, 34, 14

STYLE = """
    text { font: 14px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .ours { font-weight: 600 }
    .faint { fill: #59636e }
    rect { fill: #8c959f }
    rect.page { fill: #ffffff }
    rect.ours { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .faint { fill: #9198a1 }
      rect { fill: #6e7681 }
      rect.page { fill: #0d1117 }
      rect.ours { fill: #4493f8 }
    }
"""


def picture(outcomes: Sequence[Outcome]) -> str:
    """A group of bars for each contest: the medians, each group to its own scale."""
    parts: list[str] = []
    y = MARGIN
    for outcome in outcomes:
        parts.append(_text(MARGIN, y + 18, outcome.title, "title"))
        y += HEADING
        longest = max((each.median for each in outcome.standings if each.ran), default=1.0)
        for each in outcome.standings:
            parts += _row(outcome, each, y, (WIDTH - NAMES - NUMBERS) / longest)
            y += ROW
        y += GAP
    height = y - GAP + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">\n'
        "  <title>Median times, in seconds, with ratios to the first of each group</title>\n"
        f"  <style>{STYLE}  </style>\n"
        # a page of its own: not every viewer asks for the dark one
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="6"/>\n'
        + "".join(f"  {part}\n" for part in parts)
        + "</svg>\n"
    )


def _row(outcome: Outcome, standing: Standing, y: int, scale: float) -> list[str]:
    baseline = y + 13
    kind = "ours" if standing.ours else ""
    name = _text(NAMES - 10, baseline, standing.name, kind, anchor="end")
    if not standing.ran:
        return [name, _text(NAMES, baseline, "could not run here", "faint")]
    length = standing.median * scale
    words = f"{table.seconds(standing.median)} s, × {table.ratio(outcome, standing)}"
    css = f' class="{kind}"' if kind else ""
    return [
        name,
        f'<rect{css} x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
        _text(NAMES + length + 8, baseline, words, kind),
    ]


def _text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "") -> str:
    css = f' class="{kind}"' if kind else ""
    end = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y}"{css}{end}>{escape(words)}</text>'
