"""The secrets of a lab: generated once, kept beside the lab file, used by every build.

What the lab file gives is taken from there; the rest is generated and kept in
``<lab>.secrets.yml``, mode 0600 and ignored by git, so that a rebuilt appliance still
knows the phones that were set up for the first.
"""

from __future__ import annotations

import os
import secrets as random
import string
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from toiplab import files
from toiplab.errors import ToipLabError
from toiplab.lab.model import Lab
from toiplab.lab.types import Number, Password, Pin, Secret

# Without 0/O and 1/l/I: a student reads these from a sheet and types them into a phone.
LETTERS = "".join(c for c in string.ascii_letters + string.digits if c not in "0O1lI")
SALT_LETTERS = string.ascii_letters + string.digits
SECRET_LENGTH, PASSWORD_LENGTH, PIN_LENGTH, SALT_LENGTH = 12, 12, 4, 16


class Secrets(BaseModel):
    """Every secret of one lab, by what it opens; ``salt`` makes the password's hash repeatable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    administrator: Password
    salt: str
    extensions: dict[Number, Secret]
    mailboxes: dict[Number, Pin]


def path_for(lab_file: Path) -> Path:
    """Where the secrets of a lab file are kept: ``labs/isi.yml`` has ``labs/isi.secrets.yml``."""
    return lab_file.with_name(f"{lab_file.stem}.secrets.yml")


def for_lab(lab: Lab, lab_file: Path) -> Secrets:
    """The secrets of a lab; those that neither it nor its secrets file has are made and kept.

    Raises:
        ToipLabError: the secrets file cannot be read, says something impossible, or
            may be read by others.
    """
    path = path_for(lab_file)
    kept = _read(path)
    secrets = Secrets(
        administrator=lab.administrator.password
        or (kept.administrator if kept else _make(PASSWORD_LENGTH)),
        salt=kept.salt if kept else _make(SALT_LENGTH, SALT_LETTERS),
        extensions={
            ext.number: ext.secret
            or (kept and kept.extensions.get(ext.number))
            or _make(SECRET_LENGTH)
            for ext in lab.extensions
        },
        mailboxes={
            ext.number: ext.pin
            or (kept and kept.mailboxes.get(ext.number))
            or _make(PIN_LENGTH, string.digits)
            for ext in lab.extensions
        },
    )
    _keep(path, kept, secrets)
    return secrets


def _make(length: int, letters: str = LETTERS) -> str:
    return "".join(random.choice(letters) for _ in range(length))


def _read(path: Path) -> Secrets | None:
    if not path.exists():
        return None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ToipLabError(
            f"{path}: other accounts of this machine may read the secrets",
            hint=f"chmod 600 {path}",
        )
    try:
        return Secrets.model_validate(
            yaml.BaseLoader(path.read_text(encoding="utf-8")).get_single_data()
        )
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        # the parser's own text is left out: it quotes the secrets
        raise ToipLabError(
            f"{path}: not a secrets file as written by a build",
            hint="mend it, or remove it and have new secrets generated",
        ) from error


def _keep(path: Path, kept: Secrets | None, secrets: Secrets) -> None:
    """Write what is new; numbers that the lab file no longer has stay, in case they return."""
    merged = Secrets(
        administrator=secrets.administrator,
        salt=secrets.salt,
        extensions={**(kept.extensions if kept else {}), **secrets.extensions},
        mailboxes={**(kept.mailboxes if kept else {}), **secrets.mailboxes},
    )
    if merged == kept:
        return
    text = "# Secrets of this lab: generated, kept for later builds. Not for git.\n"
    text += yaml.safe_dump(merged.model_dump(), sort_keys=False, allow_unicode=True)
    files.write(path, text.encode(), mode=0o600)
