"""Signatures of a release's sums, by minisign(1) or by ssh-keygen(1) with ``-Y``.

The kind is seen from the key file. A key with a passphrase asks for it on the terminal:
it is never in a process's arguments.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError

NAMESPACE = "file"  # of ssh signatures: ssh-keygen(1), -Y sign
KEY_SIZE_MAX = 1 << 16


class Kind(Enum):
    """A program that signs: its name, and what it appends to the signed file's."""

    MINISIGN = ("minisign", ".minisig")
    SSH = ("ssh-keygen", ".sig")

    def __init__(self, program: str, suffix: str) -> None:
        self.program = program
        self.suffix = suffix


@dataclass(frozen=True)
class Key:
    """A secret key that can sign."""

    path: Path
    kind: Kind

    @property
    def public(self) -> Path:
        """Its public half, where both programs put it: beside it."""
        if self.kind is Kind.SSH:
            return self.path.with_name(f"{self.path.name}.pub")
        return self.path.with_suffix(".pub")


def read_key(path: Path) -> Key:
    """See which program a key file belongs to, before anything is done.

    Raises:
        ToipLabError: it cannot be read, is none, lacks its public half, or its program is
            not here.
    """
    try:
        head = path.read_bytes()[:KEY_SIZE_MAX].decode(errors="replace")
    except OSError as error:
        raise ToipLabError(
            f"--key {path}: {error.strerror}", hint="a secret key of minisign or of ssh-keygen"
        ) from error
    key = Key(path, _kind(path, head))
    if not key.public.exists():
        raise ToipLabError(
            f"--key {path}: its public key is not beside it: {key.public.name}",
            hint="every signature is verified with it; "
            + (
                f"minisign -R -s {path} -p {key.public} makes it again"
                if key.kind is Kind.MINISIGN
                else f"ssh-keygen -y -f {path} > {key.public} makes it again"
            ),
        )
    host.require(key.kind.program)
    return key


def _kind(path: Path, head: str) -> Kind:
    first = head.splitlines()[0] if head else ""
    if "PUBLIC" in first.upper() or first.startswith(("ssh-", "ecdsa-", "sk-")):
        raise ToipLabError(
            f"--key {path}: a public key; it signs nothing", hint="name the secret one"
        )
    if first.startswith("untrusted comment:"):
        return Kind.MINISIGN
    if first.startswith("-----BEGIN ") and first.endswith("PRIVATE KEY-----"):
        return Kind.SSH
    raise ToipLabError(
        f"--key {path}: no secret key of minisign or of ssh-keygen",
        hint="minisign -G makes one; ssh-keygen -t ed25519 as well",
    )


def sign(file: Path, key: Key) -> Path:
    """Sign a file, and verify the signature as whoever downloads it will; the signature's file.

    Raises:
        ToipLabError: the program refuses the key or the passphrase.
    """
    signature = file.with_name(file.name + key.kind.suffix)
    if key.kind is Kind.MINISIGN:
        _call("minisign", "-S", "-s", key.path, "-x", signature, "-m", file, key=key)
        _call("minisign", "-V", "-q", "-p", key.public, "-x", signature, "-m", file, key=key)
        return signature
    _call("ssh-keygen", "-q", "-Y", "sign", "-f", key.path, "-n", NAMESPACE, file, key=key)
    signer = file.with_name(".allowed_signers")
    signer.write_text(f'toip-lab namespaces="{NAMESPACE}" {key.public.read_text()}')
    try:
        words = ("-Y", "verify", "-f", signer, "-I", "toip-lab", "-n", NAMESPACE, "-s", signature)
        _call("ssh-keygen", *words, key=key, stdin=file)
    finally:
        signer.unlink()
    return signature


def _call(program: str, *words: str | Path, key: Key, stdin: Path | None = None) -> None:
    """Run a program that may ask on the terminal; minisign does so where its output goes."""
    asks = stdin is None and sys.stdin is not None and sys.stdin.isatty()
    shown = None if asks and key.kind is Kind.MINISIGN else subprocess.PIPE
    with (stdin or Path("/dev/null")).open("rb") as given:
        ended = subprocess.run(
            [host.which(program) or program, *words],
            stdin=None if asks else given,
            stdout=shown,
            stderr=shown,
            check=False,
        )
    if ended.returncode == 0:
        return
    said = (ended.stdout or b"") + (ended.stderr or b"")
    lines = said.decode(errors="replace").strip().splitlines()
    raise ToipLabError(
        f"--key {key.path}: {program} did not sign with it: "
        + (lines[-1].strip() if lines else f"status {ended.returncode}"),
        hint="a key with a passphrase asks for it, and so needs a terminal",
    )
