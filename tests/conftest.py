"""What the tests that need a whole appliance share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from toiplab.builders import ensure_ova
from toiplab.host import PROJECT


@pytest.fixture(scope="session")
def ova() -> Path:
    """An OVA of the default lab as this checkout makes it: a fresh one, else built now."""
    return ensure_ova(PROJECT / "labs/isi.yml")


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT and SIGQUIT, and with it all that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Calls take minutes more and belong to the exam that comes next: only when asked for."""
    if "calls" not in config.getoption("-m"):
        chosen = [item for item in items if "calls" not in item.keywords]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
