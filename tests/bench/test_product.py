"""The copy of the checkout in which toip-lab's own builds are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab.bench.ground import Ground
from toiplab.bench.product import Copy, copy_of_checkout
from toiplab.bench.repository import Repository
from toiplab.builders.contract import Project, Request
from toiplab.builders.packages import PackageSet
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.lab.load import load
from toiplab.releases import BULLSEYE


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    lab = tmp_path / "isi.yml"
    lab.write_bytes((PROJECT / "labs" / "isi.yml").read_bytes())
    package_set = PackageSet(BULLSEYE, (), (), (), (), 0, "", tmp_path, tmp_path)
    served = Repository("http://127.0.0.1:1", "bullseye", tmp_path / "keyring")
    return copy_of_checkout(
        Ground(Request.read(lab), package_set, served, tmp_path / "logs"), tmp_path / "copy"
    )


def test_it_shares_the_packages_but_nothing_that_was_made_of_them(copy: Copy) -> None:
    shared = {path.name: path for path in Project(copy.top).cache.iterdir()}

    assert set(shared) == {"apt", "debs"}
    assert shared["debs"].readlink() == Project().cache.resolve() / "debs"
    assert not Project(copy.top).dist.exists()


def test_a_changed_lab_is_still_a_lab(copy: Copy) -> None:
    """The OVA that is there already stands for a build."""
    ova = Project(copy.top).dist / "toip-lab-isi.ova"
    ova.parent.mkdir()
    ova.touch()

    titles = [load(copy.changed().lab).title for _ in range(2)]

    assert titles == ["Classe 0", "Classe 1"]
    assert load(PROJECT / "labs" / "isi.yml").title not in titles
    assert copy.ova() == ova


def test_a_build_that_fails_gives_its_reason(copy: Copy) -> None:
    copy.lab.write_text("name: isi\nhostnam: toip\n", encoding="utf-8")

    with pytest.raises(ToipLabError, match="unknown key; did you mean hostname"):
        copy.build()
