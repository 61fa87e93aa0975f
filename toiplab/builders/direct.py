"""The direct builder: no hypervisor, no root, no loop device, no mount on the host.

packages (apt, mmdebstrap) -> lab layer (provision.sh, mke2fs) -> disk -> VMDK -> OVA
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toiplab import render
from toiplab.builders import bootstrap, root, space
from toiplab.builders.contract import Request, check_machine, one_build_at_a_time
from toiplab.builders.pack import Built, pack
from toiplab.builders.packages import PackageSet
from toiplab.builders.plan import fresh_log, plan, scratch
from toiplab.host import require
from toiplab.image import disk, inodes
from toiplab.progress import Progress
from toiplab.releases import RELEASES, Release

NAME = "direct"
PROGRAMS = ("apt-get", "mmdebstrap", "mount", "mke2fs", "debugfs", "tar", "openssl")
NAMESPACE = uuid.UUID("5b1d0c4a-6f0e-4a52-9c55-7f0b9d1f10e5")  # of toip-lab's own uuids


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
    with one_build_at_a_time(request.project), scratch(request) as folder:
        log = fresh_log(request, "build.log")
        planned = plan(request, progress, log=log, releases=releases)
        release, rendered, package_set = planned.release, planned.rendered, planned.package_set
        identity = Identity.derive(request, package_set)
        base = folder / "packages.tar"
        bootstrap.make_root(
            package_set,
            target=base,
            log=log,
            progress=progress,
            answers=rendered.debconf,
            early_files=rendered.early,
        )
        with progress.step("Make it the appliance: overlay, accounts, services"):
            stage = folder / "stage"
            render.write(rendered, stage)
            render.write_direct(stage, release=release, fs_uuid=identity.fs_uuid)
            facts = root.make_filesystem(
                folder / "root.ext4",
                packages=base,
                stage=stage,
                size=request.lab.machine.disk * space.GIB - disk.MIB,
                uuid=identity.fs_uuid,
                epoch=package_set.epoch,
                log=log,
            )
            inodes.settle_times(folder / "root.ext4", package_set.epoch)
            base.unlink()
        raw = folder / "disk.raw"
        with progress.step("Make the disk, with GRUB in its MBR"):
            disk.assemble(
                raw,
                root_fs=folder / "root.ext4",
                boot_img=facts.boot_img,
                core_img=facts.core_img,
                signature=identity.disk_signature,
            )
            (folder / "root.ext4").unlink()
        return pack(Built(NAME, request, package_set, PROGRAMS), raw, progress)
