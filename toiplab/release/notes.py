"""The section of CHANGELOG.md that is a version's release notes.

The file's form is that of Keep a Changelog 1.1.0: a heading of the second level for each
version, ``## [0.2.0] - 2026-11-28``, and one for what comes next, ``## [Unreleased]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from toiplab.errors import ToipLabError

UNRELEASED = "Unreleased"
HEADING = re.compile(r"^## \[([^\]]+)\].*$", re.MULTILINE)
LINK = re.compile(r"^\[[^\]]+\]: \S+$", re.MULTILINE)  # of the list at the file's end


@dataclass(frozen=True)
class Section:
    """What changed in a version: its name, or ``Unreleased``, and the text below the heading."""

    name: str
    text: str


def section(changelog: Path, version: str, *, released: bool) -> Section:
    """Find what a version's notes say; unless ``released``, the next version's will do.

    Raises:
        ToipLabError: there is no such section, or it says nothing.
    """
    sections = _sections(changelog.read_text(encoding="utf-8"))
    names = (version,) if released else (version, UNRELEASED)
    found = next((each for name in names for each in sections if each.name == name), None)
    if found is None:
        raise ToipLabError(
            f"{changelog}: no section for version {version}",
            hint=f"write one below a heading ## [{version}] - YYYY-MM-DD",
        )
    if not found.text:
        raise ToipLabError(
            f"{changelog}: the section [{found.name}] says nothing",
            hint="write what changed: it becomes the release notes",
        )
    return found


def _sections(text: str) -> list[Section]:
    # The text before the first heading, then by turns a name and what is below it.
    _, *parts = HEADING.split(text)
    return [
        Section(name, LINK.sub("", below).strip())
        for name, below in zip(parts[::2], parts[1::2], strict=True)
    ]
