"""toip-lab's own builds, as whole commands in a copy of the checkout.

The copy keeps its OVAs and its caches of layers to itself, and shares downloaded packages
with the checkout: as for all others, the packages are on this machine already.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from toiplab import host
from toiplab.bench.contest import Measured, timed
from toiplab.bench.ground import Ground
from toiplab.builders.contract import Request
from toiplab.checkout import build_command, copy_checkout


@dataclass(frozen=True)
class Copy:
    """A copy of the checkout, and what to build there; ``log`` is where builds tell."""

    request: Request
    log: Path
    classes: Iterator[int] = field(default_factory=itertools.count)

    @property
    def top(self) -> Path:
        """Its folder."""
        return self.request.project.top

    @property
    def lab(self) -> Path:
        """Its lab file."""
        return self.request.lab_file

    def build(self, *options: str) -> Measured:
        """Build the OVA by the command that a person types; its size is the OVA's.

        Raises:
            ToipLabError: the build failed.
        """
        with timed() as watch:
            host.run(
                build_command(self.request, *options),
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
        return list(self.request.project.dist.glob("*.ova"))


def copy_of_checkout(ground: Ground, top: Path) -> Copy:
    """Copy the checkout to an empty folder, with the ground's lab and release.

    Raises:
        ToipLabError: the project is no git checkout.
    """
    release = ground.package_set.release.codename
    copied = copy_checkout(replace(ground.request, release=release), top)
    cache = copied.project.cache
    cache.mkdir(parents=True)
    for name in ("apt", "debs"):  # the layers stay the copy's own
        (cache / name).symlink_to(ground.request.project.cache.resolve() / name)
    return Copy(copied, ground.logs / "toip-lab.log")
