"""VirtualBox's own VBoxManage, in a Debian sid of its own: no kernel module is needed for it.

Everything is real there but starting a machine. The chroot is made once and kept; what is
mounted into it is mounted in a namespace of each call and gone with it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toiplab.builders import sources
from toiplab.releases import BULLSEYE

# virtualbox-source stands in for the module that is not built here
PACKAGES = "virtualbox,virtualbox-source"
BINARY = "/usr/lib/virtualbox/VBoxManage"  # the wrapper in PATH warns, and Packer minds
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
WRAPPER = """\
#!/bin/sh
# VBoxManage of {root}, which sees {shared} as it is here.
exec unshare --mount sh -euc '
    root=$1 shared=$2; shift 2
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --bind "$shared/home" "$root/root"
    mkdir -p "$root$shared" && mount --rbind "$shared" "$root$shared"
    exec chroot "$root" env HOME=/root VBOX_IPC_SOCKETID={ident} \\
        LC_ALL=C.UTF-8 {binary} "$@"
' VBoxManage '{root}' '{shared}' "$@"
"""


def why_not() -> str:
    """Why there can be no such chroot here; empty if there can."""
    if os.geteuid() != 0:
        return "VirtualBox's chroot needs root"
    if shutil.which("mmdebstrap") is None:
        return "mmdebstrap is not on this machine"
    return ""


def make_chroot(root: Path) -> None:
    """Make the chroot from the mirror that this machine's apt uses, unless it is there."""
    if (root / BINARY.lstrip("/")).exists():
        return
    mirror = next(sources.places_of(BULLSEYE)).main
    beside = root.with_name(f"{root.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.parent.mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""  # Ubuntu's apt does not trust it
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=apt", "--format=directory"),
            '--aptopt=Acquire::Check-Valid-Until "false"',
            f"--include={PACKAGES}",
            *("sid", beside, f"deb {signed}{mirror} sid main contrib"),
        ],
        check=True,
    )
    beside.replace(root)


@dataclass(frozen=True)
class VirtualBox:
    """A VBoxManage in ``folder``, whose machines and settings are in ``folder`` too."""

    folder: Path

    @classmethod
    def install(cls, root: Path, folder: Path, shared: Path) -> VirtualBox:
        """Put it into ``folder``; it sees ``shared``, which the folder must lie in."""
        folder.mkdir(parents=True, exist_ok=True)
        (shared / "home").mkdir(exist_ok=True)
        program = folder / "VBoxManage"
        ident = hashlib.sha256(str(shared).encode()).hexdigest()[:12]  # a server of its own
        program.write_text(WRAPPER.format(root=root, shared=shared, binary=BINARY, ident=ident))
        program.chmod(0o755)
        return cls(folder)

    def run(self, *arguments: str) -> str:
        """What VBoxManage answers."""
        return subprocess.run(
            [self.folder / "VBoxManage", *arguments], check=True, capture_output=True, text=True
        ).stdout
