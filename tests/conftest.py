"""What the tests that need a whole appliance share."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab.builders import ensure_ova
from toiplab.host import PROJECT


@pytest.fixture(scope="session")
def ova() -> Path:
    """An OVA of the default lab as this checkout makes it: a fresh one, else built now."""
    return ensure_ova(PROJECT / "labs/isi.yml")
