"""The secrets of a lab: made once, kept to oneself, never lost, never shown."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.lab.secrets import Secrets

Lay = Callable[..., Path]
NEW = "      - {number: 2001, name: Awa Ndiaye}"


def made(lab_file: Path) -> Secrets:
    return secrets.for_lab(load(lab_file), lab_file)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o377], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """In force once the test's folder is there, which its user could not enter otherwise."""
    assert tmp_path.is_dir()
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_made_once_and_used_again(lay: Lay) -> None:
    lab_file = lay()
    first = made(lab_file)
    written = secrets.path_for(lab_file).stat()

    assert made(lab_file) == first
    assert secrets.path_for(lab_file).stat().st_mtime_ns == written.st_mtime_ns
    assert len(set(first.extensions.values())) == 4
    assert all(len(secret) == 12 for secret in first.extensions.values())
    assert all(len(pin) == 4 and pin.isdecimal() for pin in first.mailboxes.values())


@pytest.mark.usefixtures("umask")
def test_only_the_owner_may_read_them_whatever_the_umask(lay: Lay) -> None:
    lab_file = lay()
    made(lab_file)

    assert stat.S_IMODE(secrets.path_for(lab_file).stat().st_mode) == 0o600


def test_a_secret_that_the_lab_file_gives_is_taken_and_kept(lay: Lay) -> None:
    lab_file = lay()
    before = made(lab_file)

    after = made(lay((NEW, "      - {number: 2001, name: Awa, secret: given-1, pin: 0123}")))

    assert (after.extensions["2001"], after.mailboxes["2001"]) == ("given-1", "0123")
    assert after.extensions["2002"] == before.extensions["2002"]
    assert made(lay()).extensions["2001"] == "given-1"


def test_a_password_that_the_lab_file_gives_is_taken(lay: Lay) -> None:
    lab_file = lay(("login: etudiant", "login: etudiant\n  password: a'b:#1"))

    assert made(lab_file).administrator == "a'b:#1"


def test_a_new_extension_gets_one_and_the_others_keep_theirs(lay: Lay) -> None:
    before = made(lay())

    after = made(lay((NEW, NEW + "\n      - {number: 2003, name: Khady}")))

    assert after.extensions.keys() - before.extensions.keys() == {"2003"}
    assert {n: after.extensions[n] for n in before.extensions} == before.extensions
    assert (after.administrator, after.salt) == (before.administrator, before.salt)


def test_an_extension_that_comes_back_has_the_secret_it_had(lay: Lay) -> None:
    before = made(lay())
    without = made(lay((NEW + "\n", "")))

    assert "2001" not in without.extensions
    assert made(lay()) == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_file_that_others_may_read_is_refused(lay: Lay, mode: int) -> None:
    lab_file = lay()
    made(lab_file)
    path = secrets.path_for(lab_file)
    path.chmod(mode)

    with pytest.raises(ToipLabError) as error:
        made(lab_file)

    assert str(error.value) == (
        f"{path}: other accounts of this machine may read the secrets\n  chmod 600 {path}"
    )


@pytest.mark.parametrize(
    "damaged",
    [
        b"administrator: hunter2-hunter2\n",
        b"administrator: [hunter2-hunter2]\nsalt: a\nextensions: {}\nmailboxes: {}\n",
        b"administrator: 'hunter2-hunter2\n",
        b"hunter2-hunter2",
        b"administrator: a\nsalt: a\nextensions: {'2001': 'hunter2 hunter2'}\nmailboxes: {}\n",
        b"administrator: hunter2-hunter2\xff\n",
        b"",
    ],
)
def test_a_damaged_file_is_named_without_what_it_holds(lay: Lay, damaged: bytes) -> None:
    lab_file = lay()
    path = secrets.path_for(lab_file)
    path.touch(mode=0o600)
    path.write_bytes(damaged)

    with pytest.raises(ToipLabError) as error:
        made(lab_file)

    assert str(error.value) == (
        f"{path}: not a secrets file as written by a build\n"
        "  mend it, or remove it and have new secrets generated"
    )
    assert path.read_bytes() == damaged


def test_a_secrets_file_taken_for_a_lab_file_shows_nothing_of_itself(lay: Lay) -> None:
    lab_file = lay()
    kept = made(lab_file)

    with pytest.raises(ToipLabError) as error:
        load(secrets.path_for(lab_file))

    for secret in (kept.administrator, kept.salt, *kept.extensions.values()):
        assert secret not in str(error.value)


@pytest.mark.parametrize("name", ["isi", "mine", "with-hyphen"])
def test_git_ignores_them(name: str) -> None:
    path = secrets.path_for(PROJECT / "labs" / f"{name}.yml")

    subprocess.run(["git", "check-ignore", "-q", path], cwd=PROJECT, check=True)
