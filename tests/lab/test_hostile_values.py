"""Nothing a teacher types changes the structure of a file it lands in.

Every character that has a meaning in sip.conf, the dialplan, dhcpd.conf, a shell, XML, YAML
or a preseed is typed into every field that takes free text. Either it is refused, or the
rendered files keep exactly the lines and marks they had.
"""

from __future__ import annotations

import copy
import functools
import string
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml
from pydantic import ValidationError

from toiplab.builders.sources import sources_of
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.releases import BUSTER
from toiplab.render import Inputs, Rendered, render

MEANINGFUL = "".join(
    (
        string.punctuation.translate(str.maketrans("", "", ".'()_-")),  # those a name may have
        "\t\x85\u00a0\u2028\u2029\ufeff\u200b\u202e",
    )
)
FREE = (
    ("name",),
    ("title",),
    ("hostname",),
    ("locale",),
    ("keyboard",),
    ("timezone",),
    ("administrator", "login"),
    ("administrator", "full_name"),
    ("administrator", "ssh_keys", 0),
    ("ssh", "root_keys", 0),
    ("networks", "lab", "name"),
    ("sip", "language"),
    ("contexts", "dakar", "extensions", 0, "number"),
    ("contexts", "dakar", "extensions", 0, "name"),
    ("contexts", "dakar", "extensions", 0, "secret"),
    ("contexts", "dakar", "extensions", 0, "pin"),
    ("voicemail", "number"),
    ("parking", "number"),
    ("parking", "slots"),
    ("features", "blind_transfer"),
)
# Characters that stay, with the reason they are harmless there.
HARMLESS = {
    ("contexts", "dakar", "extensions", 0, "secret"): "@%+",  # sip.conf takes them as they are
    ("administrator", "ssh_keys", 0): "@:+/=",  # a key's base64 and its comment, in a shell's '…'
    ("ssh", "root_keys", 0): "@:+/=",
    ("features", "blind_transfer"): "#*",  # after "=>" neither begins anything
    ("timezone",): "+/",  # a path below zoneinfo, without dots
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ awa"


@functools.cache
def _as_written() -> dict:
    path = Path(__file__).with_name("lab.yml")
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text


def sound() -> dict:
    """A lab file that gives every value there is to give."""
    document = copy.deepcopy(_as_written())
    document["administrator"]["ssh_keys"] = [KEY]
    document["ssh"]["root_keys"] = [KEY]
    for extension in document["contexts"]["dakar"]["extensions"]:
        extension.update(secret="abcd", pin="1234")
    return document


def rendered(lab: Lab) -> Rendered:
    secrets = Secrets(
        administrator="password",
        salt="salt",
        extensions={e.number: e.secret or "secret" for e in lab.extensions},
        mailboxes={e.number: e.pin or "0000" for e in lab.extensions},
    )
    sources = tuple(s.line() for s in sources_of(BUSTER, BUSTER.archive))
    return render(Inputs(lab, secrets, BUSTER, "$6$salt$hash", sources))


def shape(files: Rendered) -> Iterator[tuple[PurePosixPath, int]]:
    """How many lines each file has, and how many words open a section, a block or a record."""
    texts = [*files.overlay, *((PurePosixPath(n), getattr(files, n).encode())
                               for n in ("settings", "passwords", "debconf"))]  # fmt: skip
    for place, content in texts:
        for mark in (b"\n", b"[", b"{", b"}", b";", b'"', b"=>", b"<", b"`", b"$(", b"\\"):
            yield PurePosixPath(str(place), mark.hex()), content.count(mark)


def put(document: dict, place: tuple, change: str) -> None:
    for step in place[:-1]:
        document = document[step]
    document[place[-1]] = f"{document[place[-1]]}{change}"


@pytest.mark.parametrize("place", FREE, ids=lambda place: ".".join(map(str, place)))
def test_a_meaningful_character_is_refused_or_harmless(place: tuple) -> None:
    document = sound()
    before = dict(shape(rendered(Lab.model_validate(document))))
    taken = ""
    for character in MEANINGFUL:
        hostile = copy.deepcopy(document)
        put(hostile, place, character + ("x" if place[0] != "features" else ""))
        try:
            lab = Lab.model_validate(hostile)
        except ValidationError:
            continue
        taken += character
        assert dict(shape(rendered(lab))) == before, character

    assert set(taken) <= set(HARMLESS.get(place, ""))


@pytest.mark.parametrize("place", FREE, ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize("end", ["\n", "\r", "\r\nx", "\nx=y", "\0"], ids=repr)
def test_no_field_takes_a_second_line(place: tuple, end: str) -> None:
    document = sound()
    put(document, place, end)

    with pytest.raises(ValidationError) as error:
        Lab.model_validate(document)

    assert error.value.error_count() == 1


@pytest.mark.parametrize("bad", list(MEANINGFUL))
def test_a_context_is_never_named_with_one(bad: str) -> None:
    document = sound()
    document["contexts"][f"a{bad}b"] = document["contexts"].pop("ISI_KM")

    with pytest.raises(ValidationError):
        Lab.model_validate(document)


@pytest.mark.parametrize("password", ["a'b\"c$(id)`", "<&>;|\\\\!", "%s%n{}{{}}"])
def test_a_password_of_any_ascii_lands_nowhere_but_in_its_hash(
    password: str,
) -> None:
    document = sound()
    document["administrator"]["password"] = password

    lab = Lab.model_validate(document)

    assert lab.administrator.password == password
    files = rendered(lab)
    texts = [files.settings, files.passwords, files.debconf]
    assert not [text for text in texts if password in text]
    assert not [place for place, content in files.overlay if password.encode() in content]
