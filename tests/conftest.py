"""What the tests that need a whole appliance share."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toiplab.builders import ensure_ova
from toiplab.host import PROJECT


def pytest_addoption(parser: pytest.Parser) -> None:
    """What ``make import`` says."""
    parser.addoption("--ova", type=Path, help="test this OVA of the default lab")
    parser.addoption("--needed", action="store_true", help="what cannot run here fails")


@pytest.fixture(scope="session")
def ova(pytestconfig: pytest.Config) -> Path:
    """An OVA of the default lab as this checkout makes it: a fresh one, else built now."""
    if (given := pytestconfig.getoption("ova")) is not None:
        return given
    with one_process_at_a_time():
        return ensure_ova(PROJECT / "labs/isi.yml")


@pytest.fixture(scope="session")
def class_ova(ova: Path) -> Path:
    """An OVA of the lab for a whole class, likewise."""
    with one_process_at_a_time():
        made = ensure_ova(PROJECT / "labs/classe.yml")
    ova.touch()  # the newest, which ``invoke smoke`` takes, is the default lab's as before
    return made


@contextmanager
def one_process_at_a_time() -> Iterator[None]:
    """A second process of pytest waits, then finds the OVA that the first one built."""
    PROJECT.joinpath("build").mkdir(exist_ok=True)
    with PROJECT.joinpath("build/.tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT and SIGQUIT, and with it all that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What runs for an hour runs only when asked for by name."""
    if "installer" not in config.getoption("-m"):
        chosen = [item for item in items if item.get_closest_marker("installer") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
