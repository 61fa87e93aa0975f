"""The whole benchmark: contests held one after the other, their page and picture in docs/."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toiplab import files, host
from toiplab.bench import boot, builds, facts, plain, plot, product, recipes, table
from toiplab.bench.contest import Contest, Outcome
from toiplab.bench.ground import Ground, common_ground
from toiplab.bench.outcomes import Outcomes
from toiplab.bench.product import Copy
from toiplab.bench.run import hold
from toiplab.bench.workshop import Workshop, workshop
from toiplab.builders.contract import Request
from toiplab.errors import ToipLabError
from toiplab.exam.candidate import read_candidate
from toiplab.progress import Progress

CONTESTS = (builds.BUILDS, builds.VMDK, boot.BOOT)
PAGE, PICTURE = "bench.md", "bench.svg"


@dataclass(frozen=True)
class Options:
    """What to measure; ``rounds`` is for those contestants that do not take minutes."""

    rounds: int = 2
    only: tuple[str, ...] = CONTESTS

    @classmethod
    def typed(cls, *, rounds: str, only: str) -> Options:
        """The options as a person typed them.

        Raises:
            ToipLabError: one of them cannot be.
        """
        if not rounds.isdecimal() or int(rounds) < 1:
            raise ToipLabError(f"--rounds {rounds}: not a number of rounds", hint="1 or more")
        wanted = [word.strip() for word in only.split(",") if word.strip()]
        for word in wanted:
            if word not in CONTESTS:
                raise ToipLabError(
                    f"--only {word}: no such contest", hint=f"contests: {', '.join(CONTESTS)}"
                )
        return cls(int(rounds), tuple(each for each in CONTESTS if not wanted or each in wanted))


def bench(request: Request, options: Options, progress: Progress) -> tuple[Outcome, ...]:
    """Hold the contests; the ratios are printed as they come.

    Returns the outcomes of these and of others that were held on the same packages before.

    Raises:
        ToipLabError: there is no common ground, such as a package set, to hold them on.
    """
    folder = request.project.build / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _scratch(folder) as scratch,
        common_ground(request, wants=recipes.WANTS, folder=scratch, progress=progress) as ground,
    ):
        copy = product.copy_of_checkout(ground, scratch / "checkout")
        outcomes = Outcomes.on(ground.package_set.digest, folder / "outcomes")
        for contest in _contests(
            ground=ground,
            copy=copy,
            options=options,
            folder=folder,
            scratch=scratch,
            progress=progress,
        ):
            outcome = hold(contest, progress, scratch=scratch)
            outcomes.keep(outcome)
            for line in table.lines(outcome):
                progress.note(f"  {line}")
        return outcomes.kept(CONTESTS)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for one run; apt's own user may pass through it, to the repository's key."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".run-") as scratch:
        Path(scratch).chmod(0o711)
        yield Path(scratch)


def _contests(
    *,
    ground: Ground,
    copy: Copy,
    options: Options,
    folder: Path,
    scratch: Path,
    progress: Progress,
) -> Iterator[Contest]:
    """The contests in order; what one needs is made when its turn comes."""
    if builds.BUILDS in options.only:
        shop = _workshop_or_reason(folder / "workshop", ground.logs, progress)
        yield builds.images(ground, copy, shop, rounds=options.rounds)
    if builds.VMDK in options.only:
        with progress.step("A disk to compress"):
            raw = builds.raw_disk(copy.ova(), scratch / "disk.raw")
        yield builds.compressions(raw, rounds=options.rounds)
        raw.unlink()
    if boot.BOOT in options.only:
        host.require("qemu-system-x86_64", "sipsak")
        own, log = read_candidate(copy.ova(), copy.lab), ground.logs / "plain.log"
        disk = plain.make_disk(
            ground.package_set, scratch / "plain.raw", log=log, progress=progress
        )
        yield boot.boots(own, disk, rounds=options.rounds)


def _workshop_or_reason(folder: Path, logs: Path, progress: Progress) -> Workshop | ToipLabError:
    try:
        return workshop(recipes.TOOLS, folder, log=logs / "workshop.log", progress=progress)
    except ToipLabError as error:
        return error


def write(outcomes: Sequence[Outcome], docs: Path, *, command: str) -> tuple[Path, Path]:
    """Write the page and its picture, each complete or not at all, and return their paths."""
    page, picture = docs / PAGE, docs / PICTURE
    setting = table.Setting(command, facts.facts())
    drawn = plot.picture(outcomes).encode()
    written = table.page(outcomes, setting, plot=PICTURE).encode()
    files.write(picture, drawn)
    files.write(page, written)
    return page, picture
