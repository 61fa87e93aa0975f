"""Entries are whole or refused, one per key, and bounded in size."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toiplab import host
from toiplab.builders import cache
from toiplab.builders.cache import SEAL, Store, keep_within, key_of

ADDS = """\
import sys
from pathlib import Path
from toiplab.builders.cache import Store
with Store(Path(sys.argv[1])).adding("key") as folder:
    (folder / "layer").write_text(sys.argv[2])
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "layers", bound=1 << 20)


def add(store: Store, key: str, content: str = "content", *, used: int | None = None) -> Path:
    with store.adding(key) as folder:
        (folder / "layer").write_text(content)
    entry = store.folder / key
    if used is not None:
        os.utime(entry, (used, used))
    return entry


def test_an_entry_is_found_as_it_was_written(store: Store) -> None:
    assert store.find("key") is None

    add(store, "key")

    found = store.find("key")
    assert found is not None
    assert (found / "layer").read_text() == "content"
    assert store.folder.stat().st_mode & 0o077 == 0


def lose_the_seal(entry: Path) -> None:
    (entry / SEAL).unlink()


def cut_the_seal(entry: Path) -> None:
    os.truncate(entry / SEAL, 20)


def shorten(entry: Path) -> None:
    os.truncate(entry / "layer", 3)


def alter_one_byte(entry: Path) -> None:
    (entry / "layer").write_text("kontent")


def lose_a_file(entry: Path) -> None:
    (entry / "layer").unlink()


def slip_one_in(entry: Path) -> None:
    (entry / "other").touch()


@pytest.mark.parametrize(
    "damage", [lose_the_seal, cut_the_seal, shorten, alter_one_byte, lose_a_file, slip_one_in]
)
def test_a_damaged_entry_is_refused_and_removed(
    store: Store, damage: Callable[[Path], None]
) -> None:
    entry = add(store, "key")
    damage(entry)

    assert store.find("key") is None
    assert not entry.exists()
    assert store.find(add(store, "key").name) is not None


def fail_to_add(store: Store) -> None:
    with store.adding("key") as folder:
        (folder / "layer").write_text("half")
        raise OSError("full")


def test_a_failure_leaves_nothing_and_the_former_entry(store: Store) -> None:
    add(store, "key")

    with pytest.raises(OSError, match="full"):
        fail_to_add(store)

    found = store.find("key")
    assert found is not None
    assert (found / "layer").read_text() == "content"
    assert list(store.folder.iterdir()) == [found]


def adding(store: Store, content: str) -> subprocess.Popen[str]:
    """A process that has written its entry and not finished it."""
    process = subprocess.Popen(
        [sys.executable, "-c", ADDS, store.folder, content],
        cwd=host.PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def test_what_a_killed_build_left_is_no_entry_and_goes(store: Store) -> None:
    with adding(store, "half") as process:
        process.kill()

    assert list(store.folder.iterdir())
    assert store.find("key") is None
    store.evict()
    assert not list(store.folder.iterdir())


def test_two_builds_that_add_the_same_entry(store: Store) -> None:
    with adding(store, "content") as first, adding(store, "content") as second:
        for process in (first, second):
            process.communicate()
            assert process.returncode == 0

    found = store.find("key")
    assert found is not None
    assert list(store.folder.iterdir()) == [found]


def test_a_faster_build_is_not_disturbed(store: Store, tmp_path: Path) -> None:
    entry, slower = add(store, "key"), tmp_path / "slower"
    slower.mkdir()

    cache.settle(slower, entry)

    assert store.find("key") == entry


def test_what_was_not_used_for_longest_goes_first(store: Store) -> None:
    size = "x" * 300_000
    for used, key in enumerate(("a", "b", "c", "d")):
        add(store, key, size, used=used)
    assert store.find("a") is not None  # a use

    store.evict()

    assert sorted(path.name for path in store.folder.iterdir()) == ["a", "c", "d"]


def test_an_entry_larger_than_the_bound_does_not_stay(store: Store) -> None:
    add(store, "small", used=1)
    add(store, "large", "x" * (2 << 20))

    store.evict()

    assert [path.name for path in store.folder.iterdir()] == ["small"]


def test_packages_are_bounded_too(tmp_path: Path) -> None:
    for used, name in enumerate(("a.deb", "b.deb", "c.deb")):
        (tmp_path / name).write_bytes(bytes(400))
        os.utime(tmp_path / name, (used, used))

    keep_within(1000, tmp_path.glob("*.deb"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.deb", "c.deb"]


def test_a_key_tells_its_parts_apart() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("a", b"b") == key_of(b"a", "b")
