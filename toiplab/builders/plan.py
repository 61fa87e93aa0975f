"""What every builder does first: choose the release, render the lab, resolve its packages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toiplab import render
from toiplab.builders import packages, sources, space
from toiplab.builders.contract import Request, check_owner
from toiplab.builders.packages import PackageSet
from toiplab.builders.sources import Chosen
from toiplab.lab import passwords
from toiplab.progress import Progress
from toiplab.releases import Release
from toiplab.render import Inputs, Rendered

PRIORITIES = ("required", "important")


@dataclass(frozen=True)
class Survey:
    """What is known before packages are resolved: where they come from, and what is asked for."""

    chosen: Chosen
    inputs: Inputs
    rendered: Rendered
    priorities: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All that is decided before anything is made."""

    chosen: Chosen
    inputs: Inputs
    rendered: Rendered
    package_set: PackageSet

    @property
    def release(self) -> Release:
        """The Debian that is built."""
        return self.chosen.release


def plan(request: Request, progress: Progress, *, log: Path, releases: Sequence[Release]) -> Plan:
    """Decide what to build, and have its packages fetched.

    The request's release is looked for in ``releases``, the one to prefer first.

    Raises:
        ToipLabError: the packages cannot be had, or another lab's OVA has this one's name.
    """
    chosen = choose(request, progress, releases)
    return fetch(survey(request, chosen), request, progress, log=log)


def choose(request: Request, progress: Progress, releases: Sequence[Release]) -> Chosen:
    """Decide which release to build, and where its packages come from.

    Raises:
        ToipLabError: no place answers, or another lab's OVA has this one's name.
    """
    chosen = sources.choose(
        request.release, progress=progress, mirror=request.mirror, releases=releases
    )
    check_owner(request, chosen.release.version)
    return chosen


def survey(request: Request, chosen: Chosen) -> Survey:
    """Render the lab for the release that is built."""
    given = inputs(request, chosen)
    standard = ("standard",) if "standard" in request.lab.tasks else ()
    return Survey(chosen, given, render.render(given), (*PRIORITIES, *standard))


def fetch(found: Survey, request: Request, progress: Progress, *, log: Path) -> Plan:
    """Resolve what is asked for to packages, and have them fetched.

    Raises:
        ToipLabError: the packages cannot be had.
    """
    package_set = packages.resolve(
        found.chosen,
        found.rendered.packages,
        cache=request.project.cache,
        log=log,
        progress=progress,
        before_fetching=partial(space.check, request),
        priorities=found.priorities,
    )
    return Plan(found.chosen, found.inputs, found.rendered, package_set)


def inputs(request: Request, chosen: Chosen) -> Inputs:
    """All that rendering depends on.

    The appliance's own package sources are those of the build, but for an ended release:
    its archive, whatever mirror it was built from.
    """
    release = chosen.release
    own = sources.sources_of(release, release.archive) if release.archive else chosen.sources
    return Inputs(
        lab=request.lab,
        secrets=request.secrets,
        release=release,
        password_hash=passwords.crypt(request.secrets.administrator, request.secrets.salt),
        sources=tuple(source.line() for source in own),
    )


@contextmanager
def scratch(request: Request) -> Iterator[Path]:
    """A folder for what a build leaves behind on its way, removed however it ends.

    One that a killed build left is removed now: whoever builds here holds the lock.
    """
    for left in request.project.build.glob(".scratch-*"):
        shutil.rmtree(left)
    for left in request.project.dist.glob(".*.part"):
        if left.is_file():  # a folder is a killed release's: the next release mends that
            left.unlink()
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=request.project.build) as folder:
        yield Path(folder)


def fresh_log(request: Request, name: str) -> Path:
    """The path of a log of this build, empty."""
    log = request.folder / name
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return log
