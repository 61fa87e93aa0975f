"""Progress of long work: nested steps, each with its elapsed time.

On a terminal the running step is a live line with a clock; in a pipe each step
is one line when it starts and one when it ends. rich honours ``NO_COLOR``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text


@dataclass(frozen=True)
class Timing:
    """How long one finished step took, in seconds; ``depth`` 0 is the outermost."""

    title: str
    seconds: float
    depth: int


@dataclass
class Progress:
    """Prints steps as they run and keeps their timings for the build manifest."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    timings: list[Timing] = field(default_factory=list)
    _depth: int = 0
    _live: RichProgress | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run a block as one timed step; a failed step is marked as such and re-raised."""
        depth, started = self._depth, time.monotonic()
        indent = "  " * depth
        self._depth += 1
        failed = True
        try:
            with self._running(indent + title):
                yield
            failed = False
        finally:
            self._depth -= 1
            seconds = time.monotonic() - started
            if not failed:
                self.timings.append(Timing(title, seconds, depth))
            mark, style = ("✗", "red") if failed else ("✓", "green")
            self.console.print(
                f"{indent}[{style}]{mark}[/] {title} [dim]{seconds:.1f} s[/]", soft_wrap=True
            )

    @contextmanager
    def _running(self, line: str) -> Iterator[None]:
        if not self.console.is_terminal:
            self.console.print(f"{line} …", markup=False, soft_wrap=True)
            yield
            return
        outermost = self._live is None
        live = self._live or RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        if outermost:
            self._live = live
            live.start()
        task = live.add_task(line, total=None)
        try:
            yield
        finally:
            live.remove_task(task)
            if outermost:
                live.stop()
                self._live = None

    def note(self, text: str) -> None:
        """Print what the user should read, indented under the running step."""
        self._tell(text)

    def warn(self, text: str) -> None:
        """Print what the user must not miss."""
        self._tell(f"! {text}", style="yellow")

    def _tell(self, text: str, style: str = "") -> None:
        """Words are wrapped under one another on a terminal, never in a pipe."""
        line, indent = Text(text, style=style), 2 * self._depth
        if self.console.is_terminal:
            self.console.print(Padding(line, (0, 0, 0, indent), expand=False))
        else:
            self.console.print(Text(" " * indent).append(line), soft_wrap=True)
