"""An OVA built once more: from a copy of the checkout, under circumstances that may differ.

The other user and the other host name exist in namespaces of their own (unshare(1)):
nothing of this machine is changed.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toiplab import files, host
from toiplab.builders.contract import Project, Request
from toiplab.checkout import build_command

USER = "toip-lab-other"
UID = 1_700_000_000  # far from any that a machine gives out
SUBIDS = f"{USER}:{UID + 1}:65536\n"
ACCOUNTS = {
    "passwd": f"{USER}:x:{UID}:{UID}::/nonexistent:/bin/sh\n",
    "group": f"{USER}:x:{UID}:\n",
    "subuid": SUBIDS,
    "subgid": SUBIDS,
}
ETC = Path("/etc")
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Circumstances:
    """What a build must not depend on.

    ``processor``: the only one it may use; None for all. ``days_ahead``: of the clock that
    faketime(1) shows. ``host_name`` and ``other_user`` need root.
    """

    umask: int
    time_zone: str
    language: str
    processor: int | None = None
    days_ahead: int = 0
    host_name: str = ""
    other_user: bool = False


def share_packages(source: Project, copy: Project) -> None:
    """Give a copy the packages that were downloaded for another; nothing else of its cache."""
    debs = copy.cache / "debs"
    debs.mkdir(parents=True)
    for deb in (source.cache / "debs").glob("*.deb"):
        files.link_or_copy(deb, debs / deb.name)


def rebuild(request: Request, circumstances: Circumstances, *, work: Path, log: Path) -> Path:
    """Build a copy's OVA in a process of its own and return its path.

    Args:
        request: what ``copy_checkout`` returned.
        circumstances: those of the build.
        work: a folder for what is needed on the way; others may enter it.
        log: where the build's output goes.

    Raises:
        ToipLabError: the build failed; the log says why.
    """
    top = request.project.top
    home = work / "home"
    home.mkdir()
    if circumstances.other_user:
        for path in (home, top, *_all_but_packages(request.project)):
            os.lchown(path, UID, UID)
    host.run(
        [*_wrapped(circumstances, work), *build_command(request)],
        log=log,
        cwd=top,
        umask=circumstances.umask,
        env={
            "TZ": circumstances.time_zone,
            "LANG": circumstances.language,
            "LC_ALL": "",
            "HOME": str(home),
            "PATH": SEARCH_PATH if circumstances.other_user else os.environ["PATH"],
            "PYTHONPATH": str(top),
            "NO_FAKE_STAT": "1",  # faketime would move the times of files as well
        },
    )
    (ova,) = request.project.dist.glob("*.ova")
    return ova


def _all_but_packages(project: Project) -> Iterator[Path]:
    """A copy's files and folders; the packages may be the very files of the first cache."""
    debs = project.cache / "debs"
    return (path for path in project.top.rglob("*") if path.parent != debs)


def _wrapped(circumstances: Circumstances, work: Path) -> list[str]:
    """The programs in front of a command that make its circumstances."""
    words: list[str] = []
    if circumstances.host_name or circumstances.other_user:
        script = work / "namespaces.sh"
        files.write(script, _namespaces(circumstances, work).encode())
        words += ["unshare", "--mount", "--uts", "bash", str(script)]
    if circumstances.processor is not None:
        words += ["taskset", "--cpu-list", str(circumstances.processor)]
    if circumstances.days_ahead:
        words += ["faketime", "-f", f"+{circumstances.days_ahead}d"]
    return words


def _namespaces(circumstances: Circumstances, work: Path) -> str:
    """A script that runs a command on a machine of another name, as another user."""
    commands = [["hostname", circumstances.host_name]] if circumstances.host_name else []
    user = ""
    if circumstances.other_user:
        commands += _accounts(work)
        commands += _opened([Path(sys.base_prefix), Path(sys.prefix)], work)
        user = f"setpriv --reuid {UID} --regid {UID} --clear-groups -- "
    run = f'umask {circumstances.umask:03o}; exec {user}"$@"'
    return "\n".join(["set -eu; umask 022", *map(shlex.join, commands), run, ""])


def _accounts(work: Path) -> Iterator[list[str]]:
    for name, line in ACCOUNTS.items():
        files.write(work / name, (ETC / name).read_bytes() + line.encode())
        yield ["mount", "--bind", str(work / name), str(ETC / name)]


def _opened(needed: list[Path], work: Path) -> Iterator[list[str]]:
    """Let others reach folders that lie in closed ones, such as a Python in /root."""
    closed = {path: folder for path in needed if (folder := closed_folder(path))}
    for number, path in enumerate(closed):
        (work / str(number)).mkdir()
        yield ["mount", "--bind", str(path), str(work / str(number))]
    for folder in set(closed.values()):
        yield ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder)]
    for number, path in enumerate(closed):
        yield ["mkdir", "-p", str(path)]
        yield ["mount", "--bind", str(work / str(number)), str(path)]


def closed_folder(path: Path) -> Path | None:
    """The first folder on the way to ``path`` that not everybody may pass through."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None
