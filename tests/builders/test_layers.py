"""Each thing that a layer depends on changes its key; what it does not, does not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from toiplab import render
from toiplab.builders import layers
from toiplab.builders.cache import Store
from toiplab.builders.contract import Project, Request
from toiplab.builders.indexes import Index
from toiplab.builders.layers import Identity, disk_key, package_key
from toiplab.builders.plan import Survey, inputs
from toiplab.builders.sources import Chosen, Source, sources_of
from toiplab.host import PROJECT
from toiplab.image.vmdk import VmdkInfo
from toiplab.releases import BULLSEYE, BUSTER

EARLY = PurePosixPath("/etc/dpkg/dpkg.cfg.d/toip-lab")
LATE = PurePosixPath("/etc/asterisk/sip.conf")


@dataclass(frozen=True)
class Going:
    """All that goes into the keys."""

    found: Survey
    request: Request
    signed: tuple[Index, ...]
    tools: dict[str, str]

    @property
    def packages(self) -> str:
        return package_key(self.found, self.signed, self.tools)

    @property
    def disk(self) -> str:
        return disk_key(self.packages, self.found, self.request, self.tools)


@pytest.fixture
def going(tmp_path: Path) -> Going:
    (tmp_path / "labs").mkdir()
    lab_file = Path(shutil.copy(PROJECT / "labs/isi.yml", tmp_path / "labs"))
    request = Request.read(lab_file, project=Project(tmp_path))
    assert BUSTER.archive is not None
    chosen = Chosen(BUSTER, sources_of(BUSTER, BUSTER.archive))
    given = inputs(request, chosen)
    found = Survey(chosen, given, render.render(given), ("required",))
    signed = tuple(Index(source.release_file, "ab" * 32) for source in chosen.sources)
    return Going(found, request, signed, {"mmdebstrap": "1.3.5"})


def rendered(going: Going, **changes: object) -> Going:
    found = going.found
    return replace(going, found=replace(found, rendered=replace(found.rendered, **changes)))


def overlaid(going: Going, place: PurePosixPath) -> Going:
    overlay = dict(going.found.rendered.overlay)
    overlay[place] = overlay.get(place, b"") + b"# changed\n"
    return rendered(going, overlay=tuple(sorted(overlay.items())))


def chosen(going: Going, **changes: object) -> Going:
    found = going.found
    return replace(going, found=replace(found, chosen=replace(found.chosen, **changes)))


def with_disk(going: Going, size: int) -> Going:
    machine = going.request.lab.machine.model_copy(update={"disk": size})
    lab = going.request.lab.model_copy(update={"machine": machine})
    return replace(going, request=replace(going.request, lab=lab))


def with_memory(going: Going, size: int) -> Going:
    machine = going.request.lab.machine.model_copy(update={"memory": size})
    lab = going.request.lab.model_copy(update={"machine": machine})
    return replace(going, request=replace(going.request, lab=lab))


def with_recipe(going: Going) -> Going:
    script = going.request.project.top / "scripts/provision.sh"
    script.parent.mkdir(exist_ok=True)
    script.write_text("# changed\n", encoding="utf-8")
    return going


PACKAGES = {
    "release": lambda g: chosen(g, release=BULLSEYE),
    "a release's facts": lambda g: chosen(g, release=replace(BUSTER, version="10.14")),
    "mirror": lambda g: chosen(g, sources=(Source("http://m/debian", "buster"),)),
    "an index": lambda g: replace(g, signed=(replace(g.signed[0], sha256="cd"), *g.signed[1:])),
    "a suite more": lambda g: replace(g, signed=(*g.signed, Index("http://m/InRelease", "ab"))),
    "a package more": lambda g: rendered(g, packages=(*g.found.rendered.packages, "vim")),
    "priorities": lambda g: replace(g, found=replace(g.found, priorities=("required", "standard"))),
    "debconf's answers": lambda g: rendered(g, debconf="locales locales/x boolean true\n"),
    "an early file": lambda g: overlaid(g, EARLY),
    "mmdebstrap": lambda g: replace(g, tools={"mmdebstrap": "1.4"}),
}
DISK_ONLY = {
    "a file of the overlay": lambda g: overlaid(g, LATE),
    "settings": lambda g: rendered(g, settings="LOGIN=other\n"),
    "passwords": lambda g: rendered(g, passwords="etudiant:$6$other\n"),
    "the disk's size": lambda g: with_disk(g, 9),
    "the recipe": with_recipe,
}
NEITHER = {
    "memory": lambda g: with_memory(g, 2048),
    "why this release": lambda g: chosen(g, instead_of="out of reach"),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_the_package_layer_depends_on(going: Going, name: str) -> None:
    before, change = (going.packages, going.disk), PACKAGES[name]
    after = change(going)

    assert after.packages != before[0]
    assert after.disk != before[1]


@pytest.mark.parametrize("name", DISK_ONLY)
def test_what_only_the_disk_depends_on(going: Going, name: str) -> None:
    before, change = (going.packages, going.disk), DISK_ONLY[name]
    after = change(going)

    assert after.packages == before[0]
    assert after.disk != before[1]


@pytest.mark.parametrize("name", NEITHER)
def test_what_no_layer_depends_on(going: Going, name: str) -> None:
    before, change = (going.packages, going.disk), NEITHER[name]
    after: Going = change(going)

    assert (after.packages, after.disk) == before


@pytest.mark.parametrize("name", layers.MAKES_PACKAGES)
def test_what_makes_the_package_layer_is_in_its_key(
    going: Going, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    copy = Path(shutil.copytree(PROJECT / "toiplab/builders", tmp_path / "builders"))
    monkeypatch.setattr(layers, "__file__", str(copy / "layers.py"))
    before = going.packages

    with (copy / name).open("a") as changed:
        changed.write("# changed\n")

    assert going.packages != before


def test_a_kept_record_of_another_shape_is_not_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.adding("k") as folder:
        for name in (layers.RESOLVED, layers.FACTS):
            (folder / name).write_text("{}")

    assert layers.kept_packages(store, "k") is None
    assert layers.kept_disk(store, "k", "disk.vmdk") is None


def test_a_disk_is_named_after_what_goes_in(going: Going) -> None:
    identity = Identity.derive(going.disk)

    assert Identity.derive(going.disk) == identity
    assert Identity.derive(overlaid(going, LATE).disk) != identity


def test_layers_are_kept_whole(going: Going, tmp_path: Path) -> None:
    store = Store(tmp_path / "layers")
    info = VmdkInfo(1 << 30, Identity.derive("key").fs_uuid, 7, 3)

    def make(path: Path) -> VmdkInfo:
        path.write_bytes(b"disk")
        return info

    made = layers.keep_disk(store, "key", "isi-disk1.vmdk", make)

    assert made.vmdk.read_bytes() == b"disk"
    assert layers.kept_disk(store, "key", "isi-disk1.vmdk") == made
    made.vmdk.write_bytes(b"dusk")
    assert layers.kept_disk(store, "key", "isi-disk1.vmdk") is None
