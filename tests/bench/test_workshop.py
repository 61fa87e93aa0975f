"""What a tool's log is taken to say, and who may enter the workshop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toiplab.bench import recipes, workshop
from toiplab.errors import ToipLabError
from toiplab.progress import Progress


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("$ tool\nall is well\nE: no space\n", "E: no space"),
        ("$ tool\nerror: no mapper\nI: cleaned up\n", "error: no mapper"),
        ("$ tool\nSetting up libgpg-error0\n‣ grub is not installed\n", "‣ grub is not installed"),
        ("$ tool\nan error\n1\n2\n3\n4\nthe end\n", "the end"),
        ("$ tool\n\x1b[31merror: red\x1b[0m\n", "error: red"),
        ("$ tool --error\n", "it said nothing"),
    ],
)
def test_last_word(tmp_path: Path, log: str, reason: str) -> None:
    path = tmp_path / "log"
    path.write_text(log, encoding="utf-8")

    assert workshop.last_word(path) == reason


def test_an_ordinary_user_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ToipLabError, match="needs root"):
        workshop.workshop(("mkosi",), tmp_path, log=tmp_path / "log", progress=Progress())


@pytest.mark.parametrize("recipe", recipes.RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_is_there(recipe: recipes.Recipe) -> None:
    text = (workshop.SCRIPTS / f"{recipe.name}.sh").read_text(encoding="utf-8")

    for setting in ("MIRROR", "CODENAME", "PACKAGES", "IMAGE"):
        assert f"${setting}" in text or f"${{{setting}}}" in text, setting
