"""Whether this machine's Packer can do what the template asks: from 1.10 on it needs plugins."""

from __future__ import annotations

import pytest

from toiplab.builders.packer import qemu, virtualbox
from toiplab.builders.packer.client import Packer
from toiplab.errors import ToipLabError


def what_is_lacking() -> str:
    """Why not; empty if it can."""
    try:
        packer = Packer.find()
        for plugin in (qemu.PLUGIN, virtualbox.PLUGIN):
            packer.check_plugin(plugin)
    except ToipLabError as error:
        return str(error).replace("\n", "; ")
    return ""


LACKING = what_is_lacking()
needs_packer = pytest.mark.skipif(bool(LACKING), reason=LACKING)
