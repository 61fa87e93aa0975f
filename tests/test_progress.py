"""What a person sees while something long is running."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from toiplab.progress import Progress

LONG = "a line of words that is longer than the screen is wide, and is to be read in full"


def screen(*, terminal: bool) -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    console = Console(
        file=text, width=40, force_terminal=terminal, color_system=None, legacy_windows=False
    )
    return Progress(console), text


def test_a_pipe_gets_a_line_when_a_step_starts_and_one_when_it_ends():
    progress, text = screen(terminal=False)
    with progress.step("Build"), progress.step("Fetch"):
        progress.note("from [here]")
    first, second, note, third, fourth = text.getvalue().splitlines()
    assert [first, second, note] == ["Build …", "  Fetch …", "    from [here]"]
    assert third.startswith("  ✓ Fetch 0.")
    assert fourth.startswith("✓ Build 0.")
    assert [(timing.title, timing.depth) for timing in progress.timings] == [
        ("Fetch", 1),
        ("Build", 0),
    ]


def test_a_failed_step_is_marked_and_not_among_the_timings():
    progress, text = screen(terminal=False)
    with pytest.raises(ValueError, match="no"), progress.step("Build"):
        raise ValueError("no")
    assert text.getvalue().splitlines()[-1].startswith("✗ Build 0.")
    assert progress.timings == []


def test_a_pipe_is_never_wrapped():
    progress, text = screen(terminal=False)
    progress.warn(LONG)
    assert text.getvalue() == f"! {LONG}\n"


def test_a_terminal_wraps_words_under_the_running_step(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")  # a dumb one is 80 columns wide, whatever rich is told
    progress, text = screen(terminal=True)
    with progress.step("Build"):
        progress.warn(LONG)
    told = [
        line.rstrip() for line in text.getvalue().splitlines() if "words" in line or "to" in line
    ]
    assert told[0].endswith("  ! a line of words that is longer than")
    assert told[-1].startswith("  ")
