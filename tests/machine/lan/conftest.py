"""Lab networks, where this system lets one have any."""

from __future__ import annotations

import pytest

from toiplab.errors import ToipLabError
from toiplab.machine.lan import preconditions
from toiplab.machine.lan.network import LabNetwork


@pytest.fixture(scope="session")
def possible():
    try:
        preconditions.check()
    except ToipLabError as error:
        pytest.skip(error.message)


@pytest.fixture
def lan(possible):
    with LabNetwork.open() as network:
        yield network
