"""The direct builder: no hypervisor, no root, no loop device, no mount on the host.

packages (apt, mmdebstrap) -> lab layer (provision.sh, mke2fs) -> disk -> VMDK -> OVA
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toiplab import render
from toiplab.builders import bootstrap, packages, root, sources, space
from toiplab.builders.contract import Request, check_machine, check_owner, one_build_at_a_time
from toiplab.builders.pack import Built, pack
from toiplab.builders.packages import PackageSet
from toiplab.builders.sources import Chosen
from toiplab.host import require
from toiplab.image import disk
from toiplab.lab import passwords
from toiplab.progress import Progress
from toiplab.releases import RELEASES, Release

NAME = "direct"
PROGRAMS = ("apt-get", "mmdebstrap", "mount", "mke2fs", "tar", "openssl")
NAMESPACE = uuid.UUID("5b1d0c4a-6f0e-4a52-9c55-7f0b9d1f10e5")  # of toip-lab's own uuids
PRIORITIES = ("required", "important")


@dataclass(frozen=True)
class Identity:
    """What names the disk and its file system; derived from all that goes in."""

    fs_uuid: uuid.UUID
    disk_signature: int

    @classmethod
    def derive(cls, request: Request, package_set: PackageSet) -> Identity:
        """The identity of this lab's image with these packages."""
        digest = hashlib.sha256(f"{request.digest()} {package_set.digest}".encode())
        return cls(
            uuid.uuid5(NAMESPACE, digest.hexdigest()), int.from_bytes(digest.digest()[:4]) or 1
        )


def build(request: Request, progress: Progress, *, releases: Sequence[Release] = RELEASES) -> Path:
    """Build a lab's OVA and return its path in ``dist/``, its manifest beside it.

    The request's release is looked for in ``releases``, the one to prefer first.

    Raises:
        ToipLabError: whatever stands in the way, before anything long where it can be told.
    """
    check_machine()
    require(*PROGRAMS)
    space.check_host(request)
    with one_build_at_a_time(request.project), _scratch(request) as scratch:
        log = request.folder / "build.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        chosen = sources.choose(
            request.release, progress=progress, mirror=request.mirror, releases=releases
        )
        release = chosen.release
        check_owner(request, release.version)
        rendered = render.render(inputs(request, chosen))
        package_set = packages.resolve(
            chosen,
            rendered.packages,
            cache=request.project.cache,
            log=log,
            progress=progress,
            before_fetching=partial(space.check, request),
            priorities=(*PRIORITIES, "standard") if "standard" in request.lab.tasks else PRIORITIES,
        )
        identity = Identity.derive(request, package_set)
        base = scratch / "packages.tar"
        bootstrap.make_root(
            package_set,
            target=base,
            log=log,
            progress=progress,
            answers=rendered.debconf,
            early_files=rendered.early,
        )
        with progress.step("Make it the appliance: overlay, accounts, services"):
            stage = scratch / "stage"
            render.write(rendered, stage)
            render.write_direct(stage, release=release, fs_uuid=identity.fs_uuid)
            facts = root.make_filesystem(
                scratch / "root.ext4",
                packages=base,
                stage=stage,
                size=request.lab.machine.disk * space.GIB - disk.MIB,
                uuid=identity.fs_uuid,
                epoch=package_set.epoch,
                log=log,
            )
            base.unlink()
        raw = scratch / "disk.raw"
        with progress.step("Make the disk, with GRUB in its MBR"):
            disk.assemble(
                raw,
                root_fs=scratch / "root.ext4",
                boot_img=facts.boot_img,
                core_img=facts.core_img,
                signature=identity.disk_signature,
            )
            (scratch / "root.ext4").unlink()
        return pack(Built(NAME, request, package_set, PROGRAMS), raw, progress)


def inputs(request: Request, chosen: Chosen) -> render.Inputs:
    """All that rendering depends on.

    The appliance's own package sources are those of the build, but for an ended release:
    its archive, whatever mirror it was built from.
    """
    release = chosen.release
    own = sources.sources_of(release, release.archive) if release.archive else chosen.sources
    return render.Inputs(
        lab=request.lab,
        secrets=request.secrets,
        release=release,
        password_hash=passwords.crypt(request.secrets.administrator, request.secrets.salt),
        sources=tuple(source.line() for source in own),
    )


@contextmanager
def _scratch(request: Request) -> Iterator[Path]:
    """A folder for what a build leaves behind on its way, removed however it ends.

    One that a killed build left is removed now: whoever builds here holds the lock.
    """
    for left in request.project.build.glob(".scratch-*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=request.project.build) as folder:
        yield Path(folder)
