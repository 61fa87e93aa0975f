"""A system is unpacked in memory where there is plenty, else on disk, else where one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab import host

MEMORY = host.MEMORY
GIB = 1 << 30


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's memory file system, and 64 GiB of free memory."""
    if not MEMORY.is_mount():
        pytest.skip(f"{MEMORY} is no file system of its own here")
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(host, "available_memory", lambda: 64 * GIB)


def test_what_is_small_goes_to_memory() -> None:
    assert host.working_folder(1000) == MEMORY


def test_what_is_large_goes_to_the_disk() -> None:
    assert host.working_folder(1 << 50) == host.TEMPORARY


def test_programs_keep_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "available_memory", lambda: 2 * GIB)

    assert host.working_folder(1000) == host.TEMPORARY


def test_a_folder_that_is_no_memory(tmp_path: Path) -> None:
    assert host.working_folder(1000, memory=tmp_path) == host.TEMPORARY
    assert host.working_folder(1000, memory=tmp_path / "absent") == host.TEMPORARY


def test_a_folder_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    assert host.working_folder(1000) == host.temporary_folder()
