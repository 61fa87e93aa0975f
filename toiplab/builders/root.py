"""The lab's own layer: a Debian with its packages becomes the appliance's root file system.

``scripts/make-root.sh`` does the work in a user namespace that mmdebstrap opens, so that
an ordinary user needs no rights and no mount is seen on the host. Files go in and out
through open descriptors, since the namespace's root may not enter the caller's folders.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from toiplab import host
from toiplab.errors import ToipLabError

SCRIPTS = host.PROJECT / "scripts"
WORKSPACE = "toip-lab-root-"
SCRIPT, MKE2FS_CONF, PROVISION = "make-root.sh", "mke2fs.conf", "provision.sh"


@dataclass(frozen=True)
class RootFacts:
    """What the caller needs from inside the appliance: GRUB's own parts."""

    boot_img: bytes
    core_img: bytes


def make_filesystem(
    image: Path,
    *,
    packages: Path,
    stage: Path,
    size: int,
    uuid: UUID,
    epoch: int,
    log: Path,
    provision: Path = SCRIPTS / PROVISION,
) -> RootFacts:
    """Make the root file system ``image``.

    Args:
        image: the ext4 image to make, ``size`` bytes, sparse.
        packages: a tar of the Debian system with its packages.
        stage: the folder that ``render.write`` made, with ``direct/`` in it.
        size: in bytes.
        uuid: the file system's.
        epoch: the newest time a file may carry, in seconds since 1970.
        log: where the output goes.
        provision: the script that is run inside, with ``stage/`` as its argument.

    Raises:
        ToipLabError: a step failed; the log says which.
    """
    host.require("mmdebstrap", "mke2fs", "mount", "tar")
    with (
        _workspace(packages.stat().st_size) as folder,
        packages.open("rb") as base,
        _stage_tar(stage, provision) as stage_tar,
        image.open("w+b") as out,
        tempfile.TemporaryFile() as facts,
    ):
        out.truncate(size)
        # the namespace's root reopens it by /dev/fd, and is "others" to this file
        os.fchmod(out.fileno(), 0o666)
        descriptors = [file.fileno() for file in (stage_tar, out, facts)]
        try:
            host.run(
                [
                    "mmdebstrap",
                    "--unshare-helper",
                    "bash",
                    folder / SCRIPT,
                    folder,
                    *map(str, descriptors),
                ],
                log=log,
                stdin=base,
                pass_fds=descriptors,
                env=host.same_everywhere(epoch) | {"FS_UUID": str(uuid)},
            )
        except ToipLabError as error:
            if host.DISK_FULL in host.tail(log):
                raise host.disk_full("the appliance's file system", log, image.parent) from error
            raise
        os.fchmod(out.fileno(), 0o600)
        facts.seek(0)
        return _read_facts(facts)


@contextmanager
def _workspace(size: int) -> Iterator[Path]:
    """A folder with room for ``size`` bytes, emptied as the namespace's root, who fills it.

    For real root that is itself; for an ordinary user it is one of the others, who may add
    files but not touch the script.
    """
    place = host.working_folder(size)
    _remove_left(place)
    folder = Path(tempfile.mkdtemp(prefix=f"{WORKSPACE}{os.getpid()}-", dir=place))
    if os.geteuid() != 0:
        folder.chmod(0o1777)
    try:
        for name in (SCRIPT, MKE2FS_CONF):  # a checkout may be where that root cannot read
            shutil.copyfile(SCRIPTS / name, folder / name)
            (folder / name).chmod(0o644)
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for name in (SCRIPT, MKE2FS_CONF):  # the user's own, which that root may not remove
        (folder / name).unlink(missing_ok=True)
    host.run(["mmdebstrap", "--unshare-helper", "find", folder, "-mindepth", "1", "-delete"])
    shutil.rmtree(folder)


def _remove_left(place: Path) -> None:
    """Remove what this user's killed builds left: its name tells the process that made it."""
    for folder in place.glob(f"{WORKSPACE}*-*"):
        maker = folder.name.removeprefix(WORKSPACE).partition("-")[0]
        if folder.stat().st_uid == os.geteuid() and not Path("/proc", maker).exists():
            _remove(folder)


@contextmanager
def _stage_tar(stage: Path, provision: Path) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name in ("stage", "direct"):
                tar.add(stage / name, name)
            tar.add(provision, f"stage/{PROVISION}")
        file.seek(0)
        yield file


def _read_facts(facts: IO[bytes]) -> RootFacts:
    try:
        with tarfile.open(fileobj=facts) as tar:
            boot_img, core_img = (tar.extractfile(name) for name in ("boot.img", "core.img"))
            if boot_img is None or core_img is None:
                raise KeyError("a folder where a file is wanted")
            return RootFacts(boot_img.read(), core_img.read())
    except (KeyError, tarfile.TarError) as error:
        raise ToipLabError(f"scripts/{SCRIPT} left its facts unfinished: {error}") from error
