"""The direct builder: no hypervisor, no root, no loop device, no mount on the host.

packages (apt, mmdebstrap) -> lab layer (provision.sh, mke2fs) -> disk -> VMDK -> OVA
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from toiplab import doctor, render
from toiplab.builders import bootstrap, cache, freshness, layers, pack, root, space
from toiplab.builders.cache import Store
from toiplab.builders.contract import Request, check_machine, one_build_at_a_time
from toiplab.builders.layers import DiskLayer, PackageLayer
from toiplab.builders.plan import Survey, choose, fetch, fresh_log, scratch, survey
from toiplab.host import require
from toiplab.image import disk, inodes
from toiplab.image.vmdk import VmdkInfo
from toiplab.progress import Progress
from toiplab.releases import RELEASES, Release

NAME = "direct"
PROGRAMS = ("apt-get", "mmdebstrap", "mount", "mke2fs", "debugfs", "tar", "openssl")


def build(request: Request, progress: Progress, *, releases: Sequence[Release] = RELEASES) -> Path:
    """Build a lab's OVA and return its path in ``dist/``, its manifest beside it.

    The request's release is looked for in ``releases``, the one to prefer first. What earlier
    builds made is used where it is what this one would make, down to the OVA itself.

    Raises:
        ToipLabError: whatever stands in the way, before anything long where it can be told.
    """
    check_machine()
    require(*PROGRAMS)
    space.check_host(request)
    with one_build_at_a_time(request.project), scratch(request) as folder:
        with ThreadPoolExecutor(1) as pool:
            versions = pool.submit(doctor.versions, layers.DECIDING)
            chosen = choose(request, progress, releases)
        tools = versions.result()
        if not request.fresh:
            kept = freshness.up_to_date(request, chosen, builder=NAME, tools=tools)
            if kept is not None:
                progress.note(
                    f"{kept.relative_to(request.project.top)} is up to date; --fresh builds it anew"
                )
                return kept
        with cache.opened(request.project.cache) as store:
            found, log = survey(request, chosen), fresh_log(request, "build.log")
            work = Work(request, found, tools, store, folder, log)
            packages = work.packages(progress)
            compressed = work.disk(packages, progress)
            built = pack.Built(NAME, request, packages.package_set, PROGRAMS)
            return pack.pack_vmdk(built, compressed.vmdk, compressed.info, progress, scratch=folder)


@dataclass(frozen=True)
class Work:
    """One build: each layer as it is kept, else made and kept."""

    request: Request
    found: Survey
    tools: Mapping[str, str]
    store: Store
    folder: Path
    log: Path

    def packages(self, progress: Progress) -> PackageLayer:
        """Debian with its packages."""
        found = self.found
        if not self.request.fresh:
            key = layers.package_key(found, found.chosen.signed, self.tools)
            with progress.step("Look for a kept layer of packages"):
                kept = layers.kept_packages(self.store, key)
            if kept is not None:
                space.check_disk(self.request, kept.package_set.packages)  # no part of the key
                for substitution in kept.package_set.substitutions:
                    progress.warn(str(substitution))
                return kept
        package_set = fetch(found, self.request, progress, log=self.log).package_set

        def make(target: Path) -> None:
            bootstrap.make_root(
                package_set,
                target=target,
                log=self.log,
                progress=progress,
                answers=found.rendered.debconf,
                early_files=found.rendered.early,
            )

        # the indexes may have changed since they were asked for: these are the ones that count
        key = layers.package_key(found, layers.signed_of(package_set), self.tools)
        return layers.keep_packages(self.store, key, package_set, make)

    def disk(self, packages: PackageLayer, progress: Progress) -> DiskLayer:
        """The lab's disk, compressed."""
        request = self.request
        content = layers.disk_key(packages.key, self.found, request, self.tools)
        name = pack.vmdk_name(request, self.found.chosen.release.version)
        key = cache.key_of(content, name, request.compression)
        if not request.fresh and (kept := layers.kept_disk(self.store, key, name)):
            return kept
        raw = self._raw_disk(packages, layers.Identity.derive(content), progress)

        def make(target: Path) -> VmdkInfo:
            return pack.compress(raw, target, request.compression, progress)

        return layers.keep_disk(self.store, key, name, make)

    def _raw_disk(
        self, packages: PackageLayer, identity: layers.Identity, progress: Progress
    ) -> Path:
        release, image = self.found.chosen.release, self.folder / "root.ext4"
        with progress.step("Make it the appliance: overlay, accounts, services"):
            stage = self.folder / "stage"
            render.write(self.found.rendered, stage)
            render.write_direct(stage, release=release, fs_uuid=identity.fs_uuid)
            facts = root.make_filesystem(
                image,
                packages=packages.root,
                stage=stage,
                size=self.request.lab.machine.disk * space.GIB - disk.MIB,
                uuid=identity.fs_uuid,
                epoch=packages.package_set.epoch,
                log=self.log,
            )
            inodes.settle_times(image, packages.package_set.epoch)
        raw = self.folder / "disk.raw"
        with progress.step("Make the disk, with GRUB in its MBR"):
            disk.assemble(
                raw,
                root_fs=image,
                boot_img=facts.boot_img,
                core_img=facts.core_img,
                signature=identity.disk_signature,
            )
            image.unlink()
        return raw
