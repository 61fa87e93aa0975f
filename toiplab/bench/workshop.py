"""The workshop: a Debian of its own with the other tools, so that the host stays as it is.

mmdebstrap makes it once, below ``build/``; ``scripts/bench/workshop.sh`` enters it. The tools
want root, and so does entering it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.builders.apt import network_options
from toiplab.builders.sources import host_mirror
from toiplab.errors import ToipLabError
from toiplab.files import private
from toiplab.progress import Progress

RELEASE = "trixie"
SCRIPTS = host.PROJECT / "scripts" / "bench"
ENTER = SCRIPTS / "workshop.sh"
# How most programs say that they cannot go on.
REASON = re.compile(
    r"\b(error|fail(s|ed|ure)?|cannot|can't|unable|denied|not found|no such|invalid)\b",
    re.IGNORECASE,
)
LAST_LINES = 5  # of a log, in which to look for such a line
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b\]8;;[^\x1b]*\x1b\\")


@dataclass(frozen=True)
class Workshop:
    """A workshop whose root file system is ``root``."""

    root: Path

    def work(self, recipe: str, folder: Path, settings: Mapping[str, str], *, log: Path) -> None:
        """Run ``scripts/bench/RECIPE.sh`` with these settings; ``folder`` is its /bench.

        Raises:
            ToipLabError: it failed; the message ends with its own last word on it.
        """
        shutil.copyfile(SCRIPTS / f"{recipe}.sh", folder / "recipe.sh")
        log.unlink(missing_ok=True)
        ended = host.run(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("bash", ENTER, self.root, folder),
                *(f"{name}={value}" for name, value in settings.items()),
            ],
            log=log,
            check=False,
        )
        if ended.status != 0:
            raise ToipLabError(
                f"{recipe} failed with status {ended.status}\n  | {last_word(log)}\n  log: {log}"
            )

    def version(self, package: str) -> str:
        """The version of one of its packages; empty where it is not there."""
        status = f"--admindir={self.root}/var/lib/dpkg"
        return host.run(
            ["dpkg-query", status, "--show", "--showformat=${Version}", package], check=False
        ).output


def workshop(packages: tuple[str, ...], folder: Path, *, log: Path, progress: Progress) -> Workshop:
    """The workshop with these packages in ``folder``: the one that is there, else made now.

    Raises:
        ToipLabError: this is not root, or mmdebstrap failed.
    """
    if os.geteuid() != 0:
        raise ToipLabError(
            "needs root here, for a chroot with the tool in it", hint="run invoke bench as root"
        )
    host.require("mmdebstrap", "unshare")
    name = hashlib.sha256(" ".join((RELEASE, *sorted(packages))).encode()).hexdigest()[:12]
    root = folder / name
    if root.exists():
        return Workshop(root)
    with progress.step(f"Make the workshop: the other tools, of Debian {RELEASE}"):
        shutil.rmtree(folder, ignore_errors=True)  # a former one, or what a killed run left
        _make(packages, root, log)
    return Workshop(root)


def _make(packages: tuple[str, ...], root: Path, log: Path) -> None:
    beside = root.with_name(f".{root.name}.part")
    beside.mkdir(parents=True)
    # a file, not an argument: a proxy's address may carry a password
    options = root.with_name(".apt.conf")
    with private(options) as out:
        out.write("\n".join(network_options()).encode())
    mirror = host_mirror()
    try:
        host.run(
            [
                *("mmdebstrap", "--mode=root", "--variant=apt"),
                *(f"--aptopt={options}", f"--include={','.join(packages)}"),
                f"--customize-hook=mkdir {shlex.quote(str(beside))}/bench",
                *(RELEASE, beside),
                *([mirror.main] if mirror else []),
            ],
            log=log,
        )
        beside.rename(root)
    finally:
        options.unlink(missing_ok=True)
        shutil.rmtree(beside, ignore_errors=True)


def last_word(log: Path) -> str:
    """What a program said of its failure: such a line among the last of its log, else the last."""
    text = ESCAPES.sub("", log.read_text(encoding="utf-8", errors="replace"))
    lines = [line.strip() for line in text.splitlines()[1:] if line.strip()][-LAST_LINES:]
    telling = [line for line in lines if REASON.search(line)]
    return (telling or lines or ["it said nothing"])[-1]
