"""Password hashes as /etc/shadow and a preseed take them (crypt(5), SHA-512)."""

from __future__ import annotations

import subprocess

from toiplab import host
from toiplab.errors import ToipLabError


def crypt(password: str, salt: str) -> str:
    """The SHA-512 crypt hash of a password, made by openssl-passwd(1ssl).

    The password goes through standard input, never into the process's arguments.

    Raises:
        ToipLabError: openssl is missing, or refuses.
    """
    host.require("openssl")
    done = subprocess.run(
        [str(host.which("openssl")), "passwd", "-6", "-salt", salt, "-stdin"],
        input=password.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise ToipLabError(f"openssl passwd: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().strip()
