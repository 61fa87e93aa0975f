"""Throw-away OpenPGP keys for an archive of the tests' own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# gpg's own clock for these tests: archives are signed in the past, as an ended release is
MADE = "20200101T000000"
SIGNED = "20220910T101700"


@dataclass(frozen=True)
class Key:
    """A secret key in a GnuPG home, by its user id."""

    uid: str


@dataclass(frozen=True)
class Keys:
    """A GnuPG home with keys made in 2020."""

    home: Path

    def make(self, uid: str, *, expires: str = "never") -> Key:
        """Make a signing key; ``expires`` as for gpg, counted from 2020."""
        self._gpg(MADE, "--quick-generate-key", uid, "ed25519", "sign", expires)
        return Key(uid)

    def keyring(self, path: Path, *keys: Key) -> Path:
        """Export public keys to a keyring file."""
        path.write_bytes(self._gpg(SIGNED, "--export", *(key.uid for key in keys)))
        return path

    def clearsign(self, text: bytes, *keys: Key) -> bytes:
        """Sign as an InRelease is signed, once with each key, in 2022."""
        return self._gpg(SIGNED, "--clearsign", *_by(keys), stdin=text)

    def detached(self, text: bytes, *keys: Key) -> bytes:
        """Sign as a Release.gpg is signed, once with each key, in 2022."""
        return self._gpg(SIGNED, "--armor", "--detach-sign", *_by(keys), stdin=text)

    def _gpg(self, clock: str, *arguments: str, stdin: bytes = b"") -> bytes:
        argv = ["gpg", "--batch", "--quiet", "--homedir", str(self.home)]
        argv += ["--pinentry-mode", "loopback", "--passphrase", ""]
        argv += ["--digest-algo", "SHA512", "--faked-system-time", f"{clock}!"]
        done = subprocess.run([*argv, *arguments], input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def _by(keys: tuple[Key, ...]) -> list[str]:
    return [word for key in keys for word in ("--local-user", key.uid)]


@contextmanager
def throw_away_keys(home: Path) -> Iterator[Keys]:
    """A GnuPG home of its own, and its agent ended afterwards."""
    home.mkdir(mode=0o700)
    try:
        yield Keys(home)
    finally:
        subprocess.run(
            ["gpgconf", "--kill", "gpg-agent"],
            env={**os.environ, "GNUPGHOME": str(home)},
            check=False,
        )
