"""An OVA in dist/ is up to date only if all that it depends on is as it was."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_manifest import MADE
from toiplab import manifest
from toiplab.builders.contract import Project, Request
from toiplab.builders.freshness import up_to_date
from toiplab.builders.indexes import Index
from toiplab.builders.sources import Chosen, Source
from toiplab.host import PROJECT
from toiplab.image.vmdk import Compression
from toiplab.releases import BULLSEYE, BUSTER

TOOLS = {"mmdebstrap": "1.3.5", "mke2fs": "1.47"}
SOURCE = Source("http://archive.debian.org/debian", "buster")
SIGNED = Index(SOURCE.release_file, "ab" * 32)
CHOSEN = Chosen(BUSTER, (SOURCE,), signed=(SIGNED,))
CONTENT = b"ova"


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """A build of the default lab, which has one OVA in dist/."""
    (tmp_path / "labs").mkdir()
    lab_file = Path(shutil.copy(PROJECT / "labs/isi.yml", tmp_path / "labs"))
    request = Request.read(lab_file, project=Project(tmp_path))
    ova = request.project.dist / MADE.ova
    ova.parent.mkdir()
    ova.write_bytes(CONTENT)
    ova.with_suffix(".packages.txt").touch()
    record = MADE.model_copy(
        update={
            "tools": TOOLS,
            "inputs_sha256": request.digest(),
            "indexes": (
                manifest.IndexRecord(url=SIGNED.url, sha256=SIGNED.sha256),
                manifest.IndexRecord(url=f"{SOURCE.uri}/dists/buster/main", sha256="cd" * 32),
            ),
            "compression": Compression.FAST,
            "ova_bytes": len(CONTENT),
            "ova_sha256": hashlib.sha256(CONTENT).hexdigest(),
        }
    )
    manifest.write(record, ova)
    return request


def kept(request: Request, chosen: Chosen = CHOSEN, **changes: object) -> Path | None:
    given = {"builder": "direct", "tools": TOOLS, **changes}
    return up_to_date(request, chosen, **given)


def test_one_that_nothing_has_changed_for(request_: Request) -> None:
    assert kept(request_) == request_.project.dist / MADE.ova


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(replace(CHOSEN, signed=(replace(SIGNED, sha256="cd"),)), id="a new index"),
        pytest.param(
            replace(CHOSEN, signed=(SIGNED, replace(SIGNED, url="http://m/InRelease"))),
            id="a suite more",
        ),
        pytest.param(replace(CHOSEN, sources=(replace(SOURCE, uri="http://m"),)), id="a mirror"),
        pytest.param(replace(CHOSEN, release=BULLSEYE), id="a release"),
    ],
)
def test_packages_that_come_from_elsewhere(request_: Request, chosen: Chosen) -> None:
    assert kept(request_, chosen) is None


@pytest.mark.parametrize(
    "changes",
    [{"builder": "qemu"}, {"tools": {**TOOLS, "mke2fs": "1.48"}}],
    ids=["builder", "tool"],
)
def test_another_way_of_making_it(request_: Request, changes: dict[str, object]) -> None:
    assert kept(request_, **changes) is None


def test_another_wish(request_: Request) -> None:
    assert kept(replace(request_, compression=Compression.BEST)) is None
    assert kept(replace(request_, release="bullseye")) is None


def change_the_lab(request: Request, _: Path) -> None:
    with request.lab_file.open("a", encoding="utf-8") as file:
        file.write("# changed\n")


def change_the_secrets(request: Request, _: Path) -> None:
    with request.secrets_path().open("a", encoding="utf-8") as file:
        file.write("# changed\n")


def alter(_: Request, ova: Path) -> None:
    ova.write_bytes(b"ava")


def lose(_: Request, ova: Path) -> None:
    ova.unlink()


def lose_its_list(_: Request, ova: Path) -> None:
    ova.with_suffix(".packages.txt").unlink()


def lose_its_manifest(_: Request, ova: Path) -> None:
    manifest.path_for(ova).unlink()


def cut_its_manifest(_: Request, ova: Path) -> None:
    manifest.path_for(ova).write_text("{")


@pytest.mark.parametrize(
    "harm",
    [
        change_the_lab,
        change_the_secrets,
        alter,
        lose,
        lose_its_list,
        lose_its_manifest,
        cut_its_manifest,
    ],
)
def test_something_else_than_was_built(
    request_: Request, harm: Callable[[Request, Path], None]
) -> None:
    harm(request_, request_.project.dist / MADE.ova)

    assert kept(request_) is None
