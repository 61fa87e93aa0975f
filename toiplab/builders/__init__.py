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


def choose_builder(name: str, progress: Progress) -> str:
    """The builder of that name; ``auto`` says which it takes and why.

    Raises:
        ToipLabError: there is no such builder.
    """
    if name == AUTO:
        progress.note(f"builder: {direct.NAME}, which needs no hypervisor and no root")
        return direct.NAME
    if name not in BUILDERS:
        raise ToipLabError(
            f"builder {name!r}: not in this version", hint=f"builders: auto, {', '.join(BUILDERS)}"
        )
    return name


def ensure_ova(lab_file: Path, *, project: Project | None = None, release: str = AUTO) -> Path:
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
        if kept.inputs_sha256 == request.digest() and release in (AUTO, kept.release):
            return ova
    return direct.build(request, Progress())
