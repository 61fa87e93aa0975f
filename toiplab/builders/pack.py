"""From a finished disk to what is handed out: the OVA, its manifest, its package list."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from toiplab import __version__, doctor, files, manifest
from toiplab.builders.contract import Request, ova_path
from toiplab.builders.packages import PackageSet
from toiplab.errors import ToipLabError
from toiplab.hardware import Hardware, NatAdapter
from toiplab.image import ova, ovf, vmdk
from toiplab.image.vmdk import Compression, VmdkInfo
from toiplab.progress import Progress
from toiplab.releases import InstallerIso


@dataclass(frozen=True)
class Built:
    """What a builder made a disk from; ``programs`` are the host's that it called.

    ``iso`` is the installer's image, where one was booted.
    """

    builder: str
    request: Request
    package_set: PackageSet
    programs: tuple[str, ...]
    iso: InstallerIso | None = None


def pack(built: Built, raw: Path, progress: Progress) -> Path:
    """Make the OVA of a raw disk, and what lies beside it; the raw disk is used up.

    Raises:
        ToipLabError: a file cannot be written.
    """
    compressed = raw.with_name(vmdk_name(built.request, built.package_set.release.version))
    info = compress(raw, compressed, built.request.compression, progress)
    target = pack_vmdk(built, compressed, info, progress, scratch=raw.parent)
    compressed.unlink()
    return target


def vmdk_name(request: Request, version: str) -> str:
    """What the disk is called in the OVA."""
    return f"{ova_path(request, version).stem}-disk1.vmdk"


def compress(raw: Path, target: Path, compression: Compression, progress: Progress) -> VmdkInfo:
    """Make the VMDK of a raw disk, which is used up.

    Raises:
        ToipLabError: a file cannot be written.
    """
    with progress.step("Compress the disk into a VMDK"):
        info = vmdk.write(raw, target, compression=compression)
        raw.unlink()
    return info


def pack_vmdk(
    built: Built, disk: Path, info: VmdkInfo, progress: Progress, *, scratch: Path
) -> Path:
    """Make the OVA of a compressed disk, and what lies beside it.

    It is written in ``scratch``: a build that is killed leaves nothing in ``dist/``.

    Raises:
        ToipLabError: a file cannot be written.
    """
    lab, release = built.request.lab, built.package_set.release
    written = scratch / ova_path(built.request, release.version).name
    with progress.step(f"Pack {written.name}"):
        descriptor = ovf.write(
            lab.hardware,
            ovf.DiskFacts(disk.name, disk.stat().st_size, info.capacity, info.uuid),
            product=ovf.Product(name="toip-lab", version=__version__),
            annotation=f"{lab.title} ({release.title}, Asterisk {release.asterisk})",
        )
        ova.write(written, descriptor=descriptor, disk=disk)
    return hand_out(built, written, info.uuid, progress, compression=built.request.compression)


def adopt(built: Built, exported: Path, progress: Progress) -> Path:
    """Take over an OVA that a hypervisor exported, if it is what the lab asks for.

    Raises:
        ToipLabError: it is damaged, or its machine is not the lab's (rows V1 to V5).
    """
    target = ova_path(built.request, built.package_set.release.version)
    with progress.step(f"Check {target.name}"):
        opened = ova.open_ova(exported)
        opened.verify()
        wanted = built.request.lab.hardware
        if in_one_order(opened.hardware) != in_one_order(wanted):
            raise ToipLabError(
                f"{exported.name}: the exported machine is not the lab's\n"
                f"  wanted: {wanted}\n  found: {opened.hardware}"
            )
    return hand_out(built, exported, opened.descriptor.disk.uuid, progress, compression=None)


def in_one_order(hardware: Hardware) -> Hardware:
    """The same machine with its forwards in one order: VirtualBox keeps its own."""
    adapters = (
        NatAdapter(tuple(sorted(adapter.forwards, key=str)))
        if isinstance(adapter, NatAdapter)
        else adapter
        for adapter in hardware.adapters
    )
    return replace(hardware, adapters=tuple(adapters))


def hand_out(
    built: Built, finished: Path, disk: UUID, progress: Progress, *, compression: Compression | None
) -> Path:
    """Give a finished OVA its place, after its package list and its manifest.

    So an OVA in ``dist/`` is never without them, whenever the build is killed; and a former one
    stays until there is room for all three.

    Raises:
        OSError: there is none.
    """
    target = ova_path(built.request, built.package_set.release.version)
    listing = "".join(f"{p.name} {p.version}\n" for p in built.package_set.packages)
    files.write(package_list(finished), listing.encode())
    manifest.write(_manifest(built, disk, compression, finished, progress), finished)
    with ExitStack() as last_comes_first:
        for path_of in (Path, manifest.path_for, package_list):
            beside = last_comes_first.enter_context(files.appearing(path_of(target)))
            files.move(path_of(finished), beside)
        target.unlink(missing_ok=True)  # the former one is not what they speak of
    return target


def package_list(ova: Path) -> Path:
    """Where the package list of an OVA is: beside it."""
    return ova.with_suffix(".packages.txt")


def _manifest(
    built: Built,
    disk: UUID,
    compression: Compression | None,
    finished: Path,
    progress: Progress,
) -> manifest.Manifest:
    request, package_set = built.request, built.package_set
    withheld = {
        name: substitution.missing_version
        for substitution in package_set.substitutions
        for name in substitution.binaries
    }
    return manifest.Manifest(
        toip_lab=__version__,
        builder=built.builder,
        tools=doctor.versions(built.programs),
        lab=manifest.LabRecord(
            name=request.lab.name,
            file=request.lab_path(),
            sha256=files.sha256(request.lab_file),
        ),
        inputs_sha256=request.digest(),
        release=package_set.release.codename,
        debian=package_set.release.version,
        epoch=package_set.epoch,
        sources=tuple(
            manifest.SourceRecord(uri=source.uri, suite=source.suite)
            for source in package_set.sources
        ),
        indexes=tuple(
            manifest.IndexRecord(url=index.url, sha256=index.sha256)
            for index in package_set.indexes
        ),
        iso=built.iso and manifest.IsoRecord(name=built.iso.name, sha256=built.iso.sha256),
        substitutions=tuple(
            manifest.SubstitutionRecord(
                source=substitution.source,
                missing_version=substitution.missing_version,
                missing_files=substitution.missing_files,
                taken_version=substitution.taken_version,
                binaries=substitution.binaries,
            )
            for substitution in package_set.substitutions
        ),
        packages=tuple(
            manifest.PackageRecord(
                name=package.name,
                version=package.version,
                architecture=package.architecture,
                source=package.source,
                suite=package.suite,
                sha256=package.sha256,
                candidate=withheld.get(package.name, package.version),
            )
            for package in package_set.packages
        ),
        disk_uuid=str(disk),
        compression=compression,
        ova=ova_path(request, package_set.release.version).name,
        ova_sha256=files.sha256(finished),
        ova_bytes=finished.stat().st_size,
        stages=tuple(
            manifest.StageRecord(title=timing.title, seconds=round(timing.seconds, 1))
            for timing in progress.timings
        ),
    )
