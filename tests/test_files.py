"""A file appears complete or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toiplab import files
from toiplab.files import appearing

# Writes more than the process may: the kernel's answer is that of a full disk.
TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from toiplab import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write(Path(sys.argv[1]), b"x" * 5000)
except OSError as error:
    print(error.strerror, error.filename)
"""


@pytest.fixture(params=[0o000, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """In force once the test's folder is there, which its user could not enter otherwise."""
    assert tmp_path.is_dir()
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_it_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "file"
    files.write(path, b"first")
    files.write(path, b"second")

    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_it_has_the_mode_that_was_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    files.write(tmp_path / "file", b"", mode=mode)

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_nobody_else_may_read_a_secret_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    before = os.umask(0)
    try:
        with appearing(path) as beside:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.close(descriptor)
            assert stat.S_IMODE(beside.stat().st_mode) == 0o600
            assert not path.exists()
    finally:
        os.umask(before)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, OSError, SystemExit])
@pytest.mark.parametrize("former", [None, b"former"])
def test_after_a_failure_there_is_what_there_was(
    tmp_path: Path, failure: type[BaseException], former: bytes | None
) -> None:
    path = tmp_path / "file"
    if former is not None:
        path.write_bytes(former)

    def fail(beside: Path) -> None:
        beside.write_bytes(b"half")
        raise failure

    with pytest.raises(failure), appearing(path) as beside:
        fail(beside)

    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([former] if former else [])


def test_a_block_that_writes_nothing_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), appearing(tmp_path / "file"):
        pass

    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"former")

    ended = subprocess.run(
        [sys.executable, "-c", TOO_LARGE, path], check=True, capture_output=True, text=True
    )

    assert ended.stdout == f"File too large {path}\n"
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file") as error:
        files.write(tmp_path / "file" / "inside", b"")

    assert str(error.value.filename).startswith(str(tmp_path / "file"))
