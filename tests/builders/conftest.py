"""A small archive of 10.13's layout, its keys, and what reads it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.archive.keys import Key, Keys, throw_away_keys
from tests.archive.layout import (
    BUSTER,
    BUSTER_SECURITY,
    BUSTER_UPDATES,
    Deb,
    DebianArchive,
)
from toiplab import releases
from toiplab.bench.loopback import served
from toiplab.progress import Progress
from toiplab.releases import Archive, Release

MAIN = (
    Deb("base", "1", essential=True, priority="required"),
    Deb("apt", "1.8", priority="important"),
    Deb("tool", "1", priority="standard"),
    Deb("pbx", "1:16-main", depends="pbx-modules (= 1:16-main)"),
    Deb("pbx-modules", "1:16-main", source="pbx"),
    Deb("pbx-mp3", "1:16-main", source="pbx", depends="pbx (= 1:16-main)"),
    Deb("needy", "1", depends="absent-from-everywhere"),
    Deb("unasked", "1"),
)
SECURITY = (
    Deb("pbx", "1:16-sec", depends="pbx-modules (= 1:16-sec)"),
    Deb("pbx-modules", "1:16-sec", source="pbx"),
    Deb("pbx-mp3", "1:16-sec", source="pbx", depends="pbx (= 1:16-sec)"),
    Deb("only-here", "1-sec"),
)
UPDATES = (Deb("tool", "2", source="tool (1.9)", priority="standard"),)


@dataclass(frozen=True)
class Signers:
    """Keys made once: one that is valid, one that expired in 2023, one nobody trusts."""

    keys: Keys
    valid: Key
    expired: Key
    stranger: Key


@pytest.fixture(scope="session")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signers]:
    with throw_away_keys(tmp_path_factory.mktemp("keys") / "gnupg") as keys:
        yield Signers(
            keys,
            valid=keys.make("valid"),
            expired=keys.make("expired", expires="3y"),
            stranger=keys.make("stranger"),
        )


@pytest.fixture(scope="session")
def keyring(signers: Signers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keyring") / "trusted.gpg"
    return signers.keys.keyring(path, signers.valid, signers.expired)


@pytest.fixture(scope="session")
def published(signers: Signers, tmp_path_factory: pytest.TempPathFactory) -> DebianArchive:
    """Signed as 10.13 will be from 2027 on: by an expired key and by a valid one."""
    root = tmp_path_factory.mktemp("published")
    made = DebianArchive(root, signers.keys, (signers.expired, signers.valid))
    made.publish(BUSTER, MAIN)
    made.publish(BUSTER_UPDATES, UPDATES)
    made.publish(BUSTER_SECURITY, SECURITY)
    return made


@pytest.fixture
def archive(published: DebianArchive, tmp_path: Path) -> DebianArchive:
    """A copy that a test may damage."""
    return replace(published, root=shutil.copytree(published.root, tmp_path / "www"))


@pytest.fixture
def address(archive: DebianArchive, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(archive.root) as url:
        yield url


@pytest.fixture
def buster(address: str, keyring: Path) -> Release:
    """The facts of 10.13, all of them, with the archive and the keys of the tests."""
    return replace(
        releases.BUSTER,
        archive=Archive(f"{address}/debian", f"{address}/debian-security"),
        keyrings=(str(keyring),),
    )


@dataclass(frozen=True)
class Screen:
    """What a person would have read."""

    progress: Progress
    out: io.StringIO

    @property
    def text(self) -> str:
        return self.out.getvalue()


@pytest.fixture
def screen() -> Screen:
    out = io.StringIO()
    return Screen(Progress(console=Console(file=out, highlight=False, width=200)), out)
