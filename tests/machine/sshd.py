"""A real sshd on loopback with accounts of its own, that end with it.

It runs in a mount namespace: there, /etc/passwd, /etc/shadow and /etc/sudoers are files of
the test, and the homes are in memory. Root can do that, without touching the host's accounts.
"""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from toiplab.host import run, which

PROF, PASSWORD = "prof", "s3cret é"
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PermitRootLogin {root_login}
PasswordAuthentication {passwords}
PubkeyAuthentication {keys}
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PidFile none
AcceptEnv LC_*
"""
ENTER = """
set -e
mount -t tmpfs -o mode=755 none /run && mkdir /run/sshd
mount -t tmpfs -o mode=755 none /home && mkdir /home/prof && chown 2001:2001 /home/prof
mount -t tmpfs -o mode=700 none /root
for file in passwd shadow group sudoers; do mount --bind {folder}/$file /etc/$file; done
exec {sshd} -D -e -f {folder}/sshd_config
"""
USER = "prof:x:2001:2001::/home/prof:/bin/bash\n"
ALL = "%sudo ALL=(ALL:ALL) ALL\n"

needs_sshd = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(which, ("sshd", "sudo", "ssh"))),
    reason="takes root, and sshd, sudo and ssh on this machine",
)


class Sshd:
    """The server: where it listens, and who is root there."""

    def __init__(self, port, process):
        self.port = port
        self.process = process

    def ask(self, *commands):
        """A Guest of the exam: runs commands where the server runs."""
        return tuple(self._ask(command) for command in commands)

    def _ask(self, command):
        enter = ["nsenter", "--mount", f"--target={self.process.pid}", "bash", "-c", command]
        return run(["env", "-C", "/", *enter], check=False)


@contextmanager
def sshd(folder: Path, *, root_login="prohibit-password", passwords="yes", keys="yes", sudoers=ALL):
    """Starts the server; ``prof`` and root have the same password."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", "salt", "-stdin"],
        input=PASSWORD.encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    _place(folder / "passwd", f"{Path('/etc/passwd').read_text()}{USER}")
    _place(folder / "group", f"{Path('/etc/group').read_text()}prof:x:2001:\nsudo:x:27:prof\n")
    shadow = "".join(f"{user}:{hashed.strip()}:19000:0:99999:7:::\n" for user in ("root", PROF))
    _place(folder / "shadow", shadow, 0o600)
    _place(folder / "sudoers", f"root ALL=(ALL:ALL) ALL\n{sudoers}", 0o440)
    config = CONFIG.format(
        port=port, folder=folder, root_login=root_login, passwords=passwords, keys=keys
    )
    _place(folder / "sshd_config", config)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"])
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", ENTER.format(folder=folder, sshd=which("sshd"))],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr
        first = process.stderr.readline().decode()
        if first.startswith(("unshare:", "mount:")):
            pytest.skip(f"no mount namespace on this machine: {first.strip()}")
        assert "Server listening" in first, first
        yield Sshd(port, process)
    finally:
        process.terminate()
        process.wait(10)


def _place(file, text, mode=0o644):
    file.write_text(text)
    file.chmod(mode)
