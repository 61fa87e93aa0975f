"""Builders turn a rendered lab into an OVA; every builder meets one contract."""

from __future__ import annotations

from pathlib import Path

from toiplab import manifest
from toiplab.builders import direct
from toiplab.builders.contract import Project, Request
from toiplab.errors import ToipLabError
from toiplab.progress import Progress

AUTO = "auto"
BUILDERS = (direct.NAME,)


def check_builder(name: str) -> None:
    """Check the name of a builder.

    Raises:
        ToipLabError: there is no such builder.
    """
    if name not in (AUTO, *BUILDERS):
        raise ToipLabError(
            f"builder {name!r}: not in this version", hint=f"builders: auto, {', '.join(BUILDERS)}"
        )


def build(name: str, request: Request, progress: Progress) -> Path:
    """Build by the builder of that name; ``auto`` says which it takes and why.

    Raises:
        ToipLabError: there is no such builder, or the build cannot be done.
    """
    check_builder(name)
    if name == AUTO:
        progress.note(
            f"builder: {direct.NAME}, which needs no hypervisor and no root; "
            "those by Packer (qemu, virtualbox) are not in this version"
        )
    return direct.build(request, progress)


def ensure_ova(
    lab_file: Path, *, project: Project | None = None, release: str | None = None
) -> Path:
    """An OVA of the lab file as it and this checkout are now: a fresh one, else built.

    Raises:
        ToipLabError: as for a build.
    """
    request = Request.read(lab_file, release=release, project=project)
    for ova in sorted(request.project.dist.glob(f"toip-lab-{request.lab.name}-*.ova")):
        try:
            kept = manifest.read(ova)
        except ToipLabError:
            continue
        if kept.inputs_sha256 == request.digest() and request.release in (AUTO, kept.release):
            return ova
    return direct.build(request, Progress())
