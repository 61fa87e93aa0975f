"""Puts the stand-in where VBoxManage is looked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.virtualbox.chroot import VirtualBox

SCRIPT = Path(__file__).with_name("standin.py")
WRAPPER = """\
#!/bin/sh
STANDIN_REAL='{real}' STANDIN_STATE='{state}' exec '{script}' "$@"
"""


@contextmanager
def stand_in(real: VirtualBox, folder: Path) -> Iterator[VirtualBox]:
    """The stand-in, first in PATH, before the real VirtualBox; what it started ends with it."""
    folder.mkdir(parents=True)
    state = folder / "state"
    program = folder / "VBoxManage"
    program.write_text(WRAPPER.format(real=real.folder / "VBoxManage", state=state, script=SCRIPT))
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=":")
        try:
            yield VirtualBox(folder)
        finally:
            for pid in state.glob("*.pid"):
                with suppress(ProcessLookupError):
                    os.kill(int(pid.read_text()), signal.SIGKILL)
