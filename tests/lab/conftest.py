"""Lab files made from a sound one by changing what a test is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toiplab.errors import ToipLabError
from toiplab.lab.load import load
from toiplab.lab.model import Lab

# The default lab file as it once was: what is said about its lines stays true.
BASE = Path(__file__).with_name("lab.yml").read_text(encoding="utf-8")
Laid = Callable[..., Path]


@pytest.fixture
def lay(tmp_path: Path) -> Laid:
    """Writes tests/lab/lab.yml anew, each (old, new) pair replaced once."""

    def write(*changes: tuple[str, str]) -> Path:
        text = BASE
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "lab.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def loaded(lay: Laid) -> Callable[..., Lab]:
    return lambda *changes: load(lay(*changes))


@pytest.fixture
def refused(lay: Laid) -> Callable[..., list[str]]:
    """The lines that refuse a changed lab file, without the folder it is in."""

    def lines(*changes: tuple[str, str]) -> list[str]:
        path = lay(*changes)
        with pytest.raises(ToipLabError) as error:
            load(path)
        assert error.value.status == 2
        said = str(error.value).splitlines()
        assert all(line.startswith(f"{path}:") for line in said)
        return [line.removeprefix(f"{path.parent}/") for line in said]

    return lines
