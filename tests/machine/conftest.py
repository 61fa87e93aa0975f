"""Guests that cost little: boot sectors for QEMU, and a real bash on a real terminal.

The stand-ins are programs in a folder that comes first in PATH: the host's own ``dmesg``
would turn down the host's console, its ``sudo`` and ``login`` know none of our accounts.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from boot_sector import HALT, puts

from toiplab.machine.console import Console
from toiplab.machine.qemu import Disk

DMESG = "#!/bin/sh\n"

LOGIN = r"""#!/bin/bash
# Asks as agetty and login do on a French Debian; only the right password opens a shell.
while true; do
  read -r -p 'serveur login: ' user || exit  # the terminal is gone
  IFS= read -rs -p 'Mot de passe : ' password; echo
  [[ $user == prof && $password == "s3cret é" ]] && break
  echo; echo 'Login incorrect'
done
echo 'Last login: Mon Jan  1 00:00:00 on ttyS0'
exec bash --noprofile --norc -i
"""

SUDO = r"""#!/bin/bash
# sudo -k -p PROMPT COMMAND…
prompt=$3; shift 3
case $SUDO_RULE in
  nopasswd) ;;
  none) echo "prof n'apparaît pas dans le fichier sudoers."; exit 1 ;;
  *) IFS= read -rs -p "$prompt" password; echo
     [[ $password == "s3cret é" ]] || { echo 'Désolé, essayez de nouveau.'; exit 1; } ;;
esac
exec "$@"
"""


class Terminal:
    """A terminal on whose other side one program runs."""

    def __init__(self, folder: Path) -> None:
        self.master, self._slave = pty.openpty()
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.log = folder / "serial.log"
        self.program("dmesg", DMESG)
        self.program("login", LOGIN)
        self.program("sudo", SUDO)

    def program(self, name: str, text: str) -> None:
        file = self.programs / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def start(self, *argv: str, **env: str) -> Console:
        path = f"{self.programs}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**os.environ, "PATH": path, "TMPDIR": str(self.programs.parent), **env},
        )
        os.close(self._slave)  # so that the console ends when the program does
        return Console(self.master, self.master, self.log)

    def close(self) -> None:
        os.close(self.master)  # hangs up: the shell ends, if it had its terminal already
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pid = self._process.pid
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            self._process.wait(10)


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.fixture
def disk_with(tmp_path):
    """Makes a disk whose boot sector holds that code."""

    def make(code):
        disk = tmp_path / "disk.img"
        assert len(code) <= 510
        disk.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        return Disk(str(disk), "raw")

    return make


@pytest.fixture
def prompting_disk(disk_with):
    return disk_with(puts("srv login: ") + HALT)
