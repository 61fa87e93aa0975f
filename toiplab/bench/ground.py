"""The common ground of all contestants: one lab's packages, resolved once, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toiplab.bench.repository import Repository, repository
from toiplab.builders import packages
from toiplab.builders.contract import Request, one_build_at_a_time
from toiplab.builders.packages import PackageSet
from toiplab.builders.plan import plan
from toiplab.progress import Progress
from toiplab.releases import RELEASES


@dataclass(frozen=True)
class Ground:
    """What every contestant is given.

    ``repository`` serves the packages of ``package_set``, and what the other tools put into
    their images unasked; ``logs`` is the folder for logs.
    """

    request: Request
    package_set: PackageSet
    repository: Repository
    logs: Path

    @property
    def names(self) -> tuple[str, ...]:
        """The packages of every image."""
        return tuple(self.package_set.versions)


@contextmanager
def common_ground(
    request: Request, *, wants: tuple[str, ...], folder: Path, progress: Progress
) -> Iterator[Ground]:
    """Resolve a lab's packages as a build does, and serve them while the block runs.

    Raises:
        ToipLabError: as for a build.
    """
    logs = request.project.build / "bench" / "logs"
    log = logs / "packages.log"
    logs.mkdir(parents=True, exist_ok=True)
    with one_build_at_a_time(request.project):
        planned = plan(request, progress, log=log, releases=RELEASES)
        package_set = planned.package_set
        with_extras = packages.resolve(
            planned.chosen,
            [*package_set.versions, *wants],
            cache=request.project.cache,
            log=log,
            progress=progress,
        )
    with repository(with_extras, folder / "repository") as served:
        yield Ground(request, package_set, served, logs)
