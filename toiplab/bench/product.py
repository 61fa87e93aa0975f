"""toip-lab's own builds, as whole commands in a copy of the checkout.

The copy keeps its OVAs and its caches of layers to itself, and shares downloaded packages
with the checkout: as for all others, the packages are on this machine already.
"""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from toiplab import host
from toiplab.bench.contest import Measured, timed
from toiplab.bench.ground import Ground
from toiplab.builders.contract import RECIPE, Project

ALSO = ("tasks.py", "toiplab", "scripts")


@dataclass(frozen=True)
class Copy:
    """A copy of the checkout in ``top``, with the lab at ``lab``."""

    top: Path
    lab: Path
    release: str
    log: Path
    classes: Iterator[int] = field(default_factory=itertools.count)

    def build(self, *options: str) -> Measured:
        """Build the OVA by the command that a person types; its size is the OVA's.

        Raises:
            ToipLabError: the build failed.
        """
        with timed() as watch:
            host.run(
                [
                    *(sys.executable, "-m", "invoke", "build-ova", "--builder", "direct"),
                    *("--lab", self.lab.relative_to(self.top), "--release", self.release),
                    *options,
                ],
                log=self.log,
                cwd=self.top,
                env={"NO_COLOR": "1"},
            )
        return watch.measured(self._ovas()[0].stat().st_size)

    def built(self) -> Copy:
        """The copy with an OVA in it; built now where none has been.

        Raises:
            ToipLabError: the build failed.
        """
        if not self._ovas():
            self.build()
        return self

    def changed(self) -> Copy:
        """The copy after a build and a change as between two classes: of the lab's title.

        Raises:
            ToipLabError: the build before it failed.
        """
        text = self.built().lab.read_text(encoding="utf-8")
        kept = [line for line in text.splitlines() if not line.startswith("title:")]
        title = f"title: Classe {next(self.classes)}"
        self.lab.write_text("\n".join([*kept, title, ""]), encoding="utf-8")
        return self

    def ova(self) -> Path:
        """The OVA; built now where none has been.

        Raises:
            ToipLabError: the build failed.
        """
        return self.built()._ovas()[0]

    def _ovas(self) -> list[Path]:
        return list(Project(self.top).dist.glob("*.ova"))


def copy_checkout(ground: Ground, top: Path) -> Copy:
    """Copy what a build needs of the checkout to an empty folder, with the ground's lab."""
    project = ground.request.project
    for name in (*RECIPE, *ALSO):
        source, target = project.top / name, top / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    labs = top / "labs"
    labs.mkdir()
    lab = labs / ground.request.lab_file.name
    shutil.copy(ground.request.lab_file, lab)
    cache = Project(top).cache
    cache.mkdir(parents=True)
    for name in ("apt", "debs"):  # the layers stay the copy's own
        (cache / name).symlink_to(project.cache.resolve() / name)
    return Copy(top, lab, ground.package_set.release.codename, ground.logs / "toip-lab.log")
