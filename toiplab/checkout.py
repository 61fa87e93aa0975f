"""A copy of the checkout to build in, and the command that a person would type there."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from toiplab import host
from toiplab.builders.contract import Project, Request


def copy_checkout(request: Request, top: Path) -> Request:
    """Copy what a build of ``request`` needs to ``top``.

    Copied are the files that git tracks or would track, as they lie in the folder, with the
    lab file and its secrets.

    Raises:
        ToipLabError: the project is no git checkout.
    """
    source = request.project.top.resolve()
    listed = host.run(
        ["git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        hint="it is copied as git lists it: use a checkout of git, owned by who builds",
    ).output
    lab = request.lab_file.resolve()
    place = lab.relative_to(source) if lab.is_relative_to(source) else Path("labs", lab.name)
    wanted = {Path(name): source / name for name in filter(None, listed.split("\0"))}
    wanted |= {place: lab, place.with_name(request.secrets_path().name): request.secrets_path()}
    for name, path in wanted.items():
        if path.is_file():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, top / name)
    return replace(request, lab_file=top / place, project=Project(top))


def build_command(request: Request, *options: str) -> list[str]:
    """The command that builds a request by the direct builder, in its checkout's folder."""
    lab_file = str(request.lab_file.relative_to(request.project.top))
    mirror = ["--mirror", request.mirror] if request.mirror else []
    return [
        *(sys.executable, "-m", "invoke", "build-ova", "--builder", "direct"),
        *("--lab", lab_file, "--release", request.release, *mirror),
        *("--compress", request.compression, *options),
    ]
