"""Room for the packages: on the appliance's disk, and on this machine while it is made."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from toiplab.builders.contract import Request
from toiplab.builders.indexes import Package
from toiplab.doctor import DISK_NEEDED
from toiplab.errors import ToipLabError
from toiplab.host import temporary_folder

GIB = 1 << 30
COPIES = 3  # the system as a tar, as a tree and as a file system, at one time
COPIES_OF_DEBS = 2  # in the cache, and in the tree that they are installed into
REST = GIB  # the indexes, and the OVA
# On the appliance: the file system's own tables, the boot files that packages make, logs,
# messages, and what a class installs.
ROOM = GIB


def check_host(request: Request, needed: int = DISK_NEEDED) -> None:
    """Refuse a full disk now, not after minutes; both places are written to.

    Raises:
        ToipLabError: less than ``needed`` bytes are free.
    """
    request.project.build.mkdir(parents=True, exist_ok=True)
    for place in (request.project.build, temporary_folder()):
        free = shutil.disk_usage(place).free
        if free < needed:
            raise ToipLabError(
                f"{place}: {free / GIB:.1f} GiB free, a build needs {_whole(needed)}",
                hint="free some space there, or set TMPDIR to a folder that all may write to",
            )


def check(request: Request, packages: Sequence[Package]) -> None:
    """Refuse packages that the appliance's disk cannot hold, or this machine cannot install.

    Raises:
        ToipLabError: naming the key of the lab file, or the place on this machine.
    """
    installed = check_disk(request, packages)
    debs = sum(package.size for package in packages)
    check_host(request, max(DISK_NEEDED, COPIES * installed + COPIES_OF_DEBS * debs + REST))


def check_disk(request: Request, packages: Sequence[Package]) -> int:
    """Refuse packages that the appliance's disk cannot hold; how many bytes they take.

    Raises:
        ToipLabError: naming the key of the lab file.
    """
    installed = sum(package.installed_size for package in packages)
    disk = request.lab.machine.disk
    if installed + ROOM > disk * GIB:
        raise ToipLabError(
            f"{request.lab_file}: machine.disk: {disk} GiB is too small: the {len(packages)} "
            f"packages take {installed / GIB:.1f}, and a class needs room for its own",
            hint=f"give it {_whole(installed + ROOM)} at least, or choose fewer tasks",
        )
    return installed


def _whole(size: int) -> int:
    """A size in whole GiB, rounded up."""
    return -(-size // GIB)
