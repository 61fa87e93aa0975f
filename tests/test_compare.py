"""How two images differ, and that docs/builders.md explains what may."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from rich.console import Console

from toiplab.compare import QUESTIONS, Difference, differences, show
from toiplab.host import PROJECT

DOCS = PROJECT / "docs" / "builders.md"
ROW = re.compile(r"^\| (\w+) \| `([^`]+)` \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Explained:
    """A row of the table in docs/builders.md: what may differ, and why."""

    kind: str
    pattern: str
    why: str


def explained() -> tuple[Explained, ...]:
    return tuple(Explained(*row) for row in ROW.findall(DOCS.read_text(encoding="utf-8")))


EXPLAINED = explained()


def is_explained(found: Difference, rows: tuple[Explained, ...]) -> bool:
    return any(row.kind == found.kind and fnmatchcase(found.name, row.pattern) for row in rows)


def test_the_docs_explain_kinds_that_there_are() -> None:
    assert EXPLAINED
    assert {row.kind for row in EXPLAINED} <= set(QUESTIONS)
    assert all(len(row.why) > 10 for row in EXPLAINED)


def test_packages_accounts_and_ports_may_not_differ() -> None:
    assert not [row for row in EXPLAINED if row.kind in {"package", "account", "port"}]


def test_differences() -> None:
    one = {"package": {"vim": "2", "nano": "1"}, "port": {"udp 0.0.0.0:5060": "listens"}}
    other = {"package": {"vim": "2", "nano": "2"}, "file": {"/etc/x": "-rw-r--r-- root:root"}}

    assert differences(one, other) == (
        Difference("package", "nano", "1", "2"),
        Difference("file", "/etc/x", "none", "-rw-r--r-- root:root"),
        Difference("port", "udp 0.0.0.0:5060", "listens", "none"),
    )
    assert differences(one, one) == ()


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((), "no difference"),
        ((Difference("package", "nano", "[1]", "none"),), "package  nano  [1]    none"),
    ],
)
def test_what_is_shown(found: tuple[Difference, ...], text: str) -> None:
    out = io.StringIO()
    show(found, Path("a.ova"), Path("b.ova"), Console(file=out, width=100))

    assert text in out.getvalue()


def test_a_difference_is_explained_by_its_kind_and_name() -> None:
    rows = (Explained("file", "/etc/network/*", "because"),)

    assert is_explained(Difference("file", "/etc/network/interfaces", "a", "b"), rows)
    assert not is_explained(Difference("package", "/etc/network/x", "a", "b"), rows)
    assert not is_explained(Difference("file", "/etc/hosts", "a", "b"), rows)
