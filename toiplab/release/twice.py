"""``invoke release --check``: the OVA is built twice, under other circumstances, and compared."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from toiplab import compare, files, host
from toiplab.builders.contract import Request
from toiplab.checkout import copy_checkout
from toiplab.compare import Difference
from toiplab.progress import Progress
from toiplab.release import differences
from toiplab.release.rebuild import (
    ACCOUNTS,
    ETC,
    Circumstances,
    closed_folder,
    rebuild,
    share_packages,
)

TIME_ZONE = "Pacific/Kiritimati"  # fourteen hours from UTC: most of the day it is tomorrow
DAYS_AHEAD = 3  # the shortest-lived indexes of Debian are valid for a week


@dataclass(frozen=True)
class Variation:
    """One thing that the two builds do not share, or why they do."""

    what: str
    detail: str
    varied: bool = True


def check(request: Request, *, progress: Progress) -> tuple[Difference, ...]:
    """Build a lab's OVA twice from the checkout as it lies there, and tell how they differ.

    Both builds begin with nothing but the downloaded packages. Their logs are in
    ``build/twice/``, and both OVAs where they differ.

    Raises:
        ToipLabError: a build failed.
    """
    left = kept(request)
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir(parents=True)
    with tempfile.TemporaryDirectory(
        prefix="toip-lab-twice-", dir=host.temporary_folder()
    ) as folder:
        work = Path(folder)
        work.chmod(0o755)
        first, second, variations = circumstances(work)
        for each in variations:
            if each.varied:
                progress.note(f"varied: {each.what}: {each.detail}")
            else:
                progress.warn(f"not varied: {each.what}: {each.detail}")
        builds = (
            ("first", first, work / "first"),
            ("second", second, work / "a folder/of another name"),
        )
        # Both at once: who works on in the checkout meanwhile changes neither.
        copies = [copy_checkout(request, place / "checkout") for _, _, place in builds]
        ovas, packages = [], request.project
        for (name, given, place), copy in zip(builds, copies, strict=True):
            with progress.step(f"The {name} build"):
                share_packages(packages, copy.project)
                log = left / f"{name}.log"
                ovas.append(rebuild(copy, given, work=place, log=log))
                packages = copy.project
        with progress.step("Compare the two"):
            disks = work / "disks"
            disks.mkdir()
            found = differences.between(*ovas, work=disks, progress=progress)
            for ova in ovas:
                progress.note(f"SHA-256 {files.sha256(ova)}  {ova.relative_to(work)}")
        if found:
            _show(found, ovas, disks, left)
    return found


def kept(request: Request) -> Path:
    """Where the logs of both builds stay, and both OVAs where they differ."""
    return request.project.build / "twice"


def _show(found: tuple[Difference, ...], ovas: list[Path], disks: Path, left: Path) -> None:
    console = Console(highlight=False)
    first, second = left / "first.ova", left / "second.ova"
    for ova, place in zip(ovas, (first, second), strict=True):
        shutil.copyfile(ova, place)
    compare.show(found, first, second, console)
    for path, text in differences.details(found, disks):
        console.print(Text(f"\n{path}\n{text}"))


def circumstances(
    work: Path,
) -> tuple[Circumstances, Circumstances, tuple[Variation, ...]]:
    """Those of the two builds: as unlike as this machine can make them.

    The faked clock is the first build's: faketime's processes share a semaphore, which root
    of a user namespace may not open.
    """
    processors = os.sched_getaffinity(0)
    no_root = "" if os.geteuid() == 0 else "only root can be another"
    no_user = no_root or _no_other_user(work)
    no_clock = "" if os.geteuid() == 0 else "faketime does not work in user namespaces"
    if host.which("faketime") is None:
        no_clock = "faketime is not installed"
    one_processor = "" if len(processors) > 1 else "there is only one"
    first = Circumstances(
        umask=0o022,
        time_zone="UTC",
        language="C.UTF-8",
        days_ahead=0 if no_clock else DAYS_AHEAD,
    )
    second = Circumstances(
        umask=0o077,
        time_zone=TIME_ZONE,
        language="fr_FR.UTF-8",
        processor=max(processors),
        host_name="" if no_root else "elsewhere",
        other_user=not no_user,
    )
    return (
        first,
        second,
        (
            Variation("folder", "two copies of the checkout, one with a space in its path"),
            Variation("umask", f"{first.umask:03o} and {second.umask:03o}"),
            Variation("time zone", f"{first.time_zone} and {second.time_zone}"),
            Variation("language", f"{first.language} and {second.language}"),
            _variation("processors", f"{len(processors)} and 1", one_processor),
            _variation("clock", f"{DAYS_AHEAD} days on and as it is", no_clock),
            _variation("host name", "as it is and elsewhere", no_root),
            _variation("user", "root and an ordinary one", no_user),
        ),
    )


def _variation(what: str, detail: str, obstacle: str) -> Variation:
    return Variation(what, obstacle or detail, varied=not obstacle)


def _no_other_user(work: Path) -> str:
    """Why root cannot build as an ordinary user here; empty if it can."""
    if missing := [name for name in ACCOUNTS if not (ETC / name).exists()]:
        return f"there is no {ETC / missing[0]}"
    if host.which("newuidmap") is None:
        return "newuidmap is not installed (package uidmap)"
    if folder := closed_folder(work / "file"):
        return f"{folder} is closed to others: set TMPDIR to a folder that all may write to"
    return ""
