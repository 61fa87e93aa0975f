"""Where the OVA's bytes are, and what dpkg's rules leave out of it.

python -m toiplab.bench.size

Each file of each package is weighed as the VMDK holds it, compressed. What a rule of
``overlay/etc/dpkg/dpkg.cfg.d`` leaves out counts for that rule, all else for its folder.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from toiplab import manifest, render
from toiplab.builders import plan
from toiplab.builders.contract import Project, Request
from toiplab.builders.indexes import deb_name
from toiplab.builders.sources import Chosen
from toiplab.errors import ToipLabError
from toiplab.exam.candidate import newest_ova
from toiplab.host import PROJECT, require
from toiplab.progress import Progress
from toiplab.releases import by_codename

RULES = PurePosixPath("/etc/dpkg/dpkg.cfg.d/toip-lab")
RULE = re.compile(r"^path-(exclude|include)=(\S+)$", re.MULTILINE)
GRAIN = 64 * 1024  # bytes that a VMDK compresses together
LEVEL = 6
DEPTH = 3
SHOWN = 25
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Rule:
    """A path-exclude or path-include of dpkg(1), whose ``*`` stands for slashes too."""

    pattern: str
    excludes: bool

    def fits(self, path: str) -> bool:
        """Whether it speaks of this path."""
        return fnmatch.fnmatchcase(path, self.pattern)


@dataclass
class Weight:
    """Files, their bytes, and their bytes compressed."""

    files: int = 0
    size: int = 0
    compressed: int = 0

    def add(self, content: bytes) -> None:
        """Count one more file."""
        self.files += 1
        self.size += len(content)
        self.compressed += sum(
            len(zlib.compress(content[at : at + GRAIN], LEVEL))
            for at in range(0, len(content), GRAIN)
        )


@dataclass(frozen=True)
class Weights:
    """What was weighed: ``kept`` by folder, ``left_out`` by the pattern of the rule."""

    kept: dict[str, Weight]
    left_out: dict[str, Weight]


def rules(text: str) -> tuple[Rule, ...]:
    """The rules of a file of dpkg's configuration, in order."""
    return tuple(Rule(pattern, kind == "exclude") for kind, pattern in RULE.findall(text))


def decides(path: str, known: Iterable[Rule]) -> Rule | None:
    """The rule that leaves a path out; None where it stays. The last that fits decides."""
    last = None
    for rule in known:
        if rule.fits(path):
            last = rule
    return last if last and last.excludes else None


def weigh(files: Iterable[tuple[str, bytes]], known: tuple[Rule, ...]) -> Weights:
    """Weigh files, given as path and content."""
    kept: dict[str, Weight] = defaultdict(Weight)
    left_out: dict[str, Weight] = defaultdict(Weight)
    for path, content in files:
        if rule := decides(path, known):
            left_out[rule.pattern].add(content)
        else:
            kept["/".join(PurePosixPath(path).parent.parts[: DEPTH + 1]).replace("//", "/")].add(
                content
            )
    return Weights(kept, left_out)


def packaged(debs: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """The path and the content of every regular file in binary packages, deb(5).

    Raises:
        ToipLabError: a package cannot be read.
    """
    require("dpkg-deb")
    for deb in debs:
        try:
            argv = ["dpkg-deb", "--fsys-tarfile", str(deb)]
            with (
                subprocess.Popen(argv, stdout=subprocess.PIPE) as tar,
                tarfile.open(fileobj=tar.stdout, mode="r|") as members,
            ):
                for member in members:
                    if member.isreg() and (content := members.extractfile(member)):
                        yield member.name.removeprefix("."), content.read()
        except tarfile.TarError as error:
            raise ToipLabError(
                f"{deb}: cannot be read as a package: {error}", hint="fetch it again: make ova"
            ) from error
        if tar.returncode != 0:
            raise ToipLabError(f"{deb}: dpkg-deb ended with status {tar.returncode}")


def table(weights: dict[str, Weight]) -> str:
    """The heaviest, in lines of a fixed width, and the sum of all."""
    ranked = sorted(weights.items(), key=lambda item: -item[1].compressed)
    total = Weight(*(sum(getattr(w, n) for w in weights.values()) for n in vars(Weight())))
    return "\n".join(
        f"{weight.compressed / MEGABYTE:8.2f} MB of {weight.size / MEGABYTE:8.2f} MB"
        f" in {weight.files:6} files  {name}"
        for name, weight in (*ranked[:SHOWN], ("in all", total))
    )


def of_ova(ova: Path) -> Weights:
    """Weigh the packages of an OVA, from the cache of its build.

    Raises:
        ToipLabError: its manifest, its lab or a package cannot be read.
    """
    built = manifest.read(ova)
    request = Request.read(PROJECT / built.lab.file)
    given = plan.inputs(request, Chosen(by_codename(built.release), ()))
    (text,) = (content for place, content in render.render(given).overlay if place == RULES)
    debs = (
        request.project.cache / "debs" / deb_name(p.name, p.version, p.architecture)
        for p in built.packages
    )
    return weigh(packaged(debs), rules(text.decode()))


def main() -> None:
    """Weigh the packages of the newest OVA."""
    try:
        ova = newest_ova(Project().dist)
        with Progress().step("Weigh every file of every package"):
            weights = of_ova(ova)
    except ToipLabError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.status)
    sys.stdout.write(
        f"{ova.name}: {ova.stat().st_size} bytes\n\nLeft out, by rule\n"
        f"{table(weights.left_out)}\n\nKept, by folder\n{table(weights.kept)}\n"
    )


if __name__ == "__main__":
    main()
