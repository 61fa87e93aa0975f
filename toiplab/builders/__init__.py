"""Builders turn a rendered lab into an OVA; every builder meets one contract."""

from __future__ import annotations

from pathlib import Path

from toiplab import manifest
from toiplab.builders import direct
from toiplab.builders.contract import Project, Request
from toiplab.builders.options import DEFAULT, BuildOptions
from toiplab.errors import ToipLabError
from toiplab.image.vmdk import Compression
from toiplab.progress import Progress

AUTO = "auto"
BUILDERS = (direct.NAME, "qemu", "virtualbox")


def check_builder(name: str) -> None:
    """Check the name of a builder.

    Raises:
        ToipLabError: there is no such builder.
    """
    if name not in (AUTO, *BUILDERS):
        raise ToipLabError(
            f"builder {name!r}: there is none", hint=f"builders: auto, {', '.join(BUILDERS)}"
        )


def build(name: str, request: Request, progress: Progress, options: BuildOptions = DEFAULT) -> Path:
    """Build by the builder of that name; ``auto`` says which it takes and why.

    The options are for the builders that use Packer.

    Raises:
        ToipLabError: there is no such builder, or the build cannot be done.
    """
    check_builder(name)
    if name == AUTO:
        name, why = choose_builder(request.compression)
        progress.note(f"builder: {name}: {why}")
    check_compression(name, request.compression)
    check_options(name, options)
    if name == direct.NAME:
        if request.iso is not None:
            raise ToipLabError(
                f"--iso {request.iso}: direct installs from packages, not from an image",
                hint="leave it out, or take a builder that does: --builder virtualbox or qemu",
            )
        return direct.build(request, progress, releases=options.releases)

    from toiplab.builders.packer.build import build_qemu, build_virtualbox

    by_packer = build_qemu if name == "qemu" else build_virtualbox
    return by_packer(request, progress, options=options)


def check_compression(name: str, compression: Compression) -> None:
    """Check that a builder can compress that hard.

    Raises:
        ToipLabError: it is virtualbox, which has no say in it.
    """
    if name == "virtualbox" and compression is not Compression.FAST:
        raise ToipLabError(
            f"--compress {compression}: VirtualBox compresses what it exports itself",
            hint="leave it out, or take another builder: --builder direct",
        )


def check_options(name: str, options: BuildOptions) -> None:
    """Check that a builder has a use for what was asked of it.

    Raises:
        ToipLabError: only another builder does.
    """
    for given, asked, only in (
        (f"--accel {options.accelerator}", options.accelerator != "auto", "qemu"),
        ("--slow", options.slow, "virtualbox"),
    ):
        if asked and name != only:
            raise ToipLabError(
                f"{given}: of no use to the builder {name}",
                hint=f"leave it out, or take the builder that has one: --builder {only}",
            )


def choose_builder(compression: Compression = Compression.FAST) -> tuple[str, str]:
    """The builder that ``auto`` takes, and why: virtualbox where it can do it, else direct."""
    from toiplab.builders.packer.build import virtualbox_readiness

    try:
        why = virtualbox_readiness()
        check_compression("virtualbox", compression)
        return "virtualbox", why
    except ToipLabError as error:
        return direct.NAME, f"it needs no hypervisor and no root; {error.message}"


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
        if request.is_met_by(kept):
            return ova
    return direct.build(request, Progress())
