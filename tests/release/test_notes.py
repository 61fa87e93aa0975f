"""Which section of the changelog becomes the notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab.errors import ToipLabError
from toiplab.release.notes import section

TEXT = """# Changelog

## [Unreleased]

- next

## [0.2.0] - 2026-11-28

### Added

- now

## [0.1.0]

- before

[0.2.0]: https://example.org/0.2.0
[0.1.0]: https://example.org/0.1.0
"""


@pytest.mark.parametrize(
    ("version", "released", "name", "text"),
    [
        ("0.2.0", True, "0.2.0", "### Added\n\n- now"),
        ("0.1.0", False, "0.1.0", "- before"),
        ("0.3.0", False, "Unreleased", "- next"),
    ],
)
def test_a_section(tmp_path: Path, version: str, released: bool, name: str, text: str) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text(TEXT)

    found = section(path, version, released=released)

    assert (found.name, found.text) == (name, text)


def test_what_comes_next_is_no_release(tmp_path: Path) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text(TEXT)

    with pytest.raises(ToipLabError, match=r"no section for version 0\.3\.0"):
        section(path, "0.3.0", released=True)
