"""An ISO image with nothing on it, for what never boots it."""

from __future__ import annotations

import hashlib
from pathlib import Path

SECTOR = 2048


def blank_iso(path: Path, *, sectors: int = 20, listed: bool = True) -> Path:
    """Write an image of so many sectors that says so itself; a SHA256SUMS beside it lists it."""
    descriptor = bytearray(SECTOR)
    descriptor[0:6] = b"\1CD001"
    descriptor[80:84] = sectors.to_bytes(4, "little")
    content = bytes(16 * SECTOR) + bytes(descriptor) + bytes((sectors - 17) * SECTOR)
    path.write_bytes(content)
    if listed:
        digest = hashlib.sha256(content).hexdigest()
        path.with_name("SHA256SUMS").write_text(f"{digest}  {path.name}\n", encoding="ascii")
    return path
