"""The installation medium of the tests: Debian's netboot installer on a small ISO.

Its menu is Debian's own, so the boot command finds what it finds on a netinst image, and like
there it waits thirty seconds for a key. Added to its initrd are the key of the tests' udebs, and
the one answer that belongs to this odd pair, an installer of Debian 13 for Debian 11.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.installer.archive import SUITE
from tests.installer.udebs import Installer

ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
BOOT = Path("debian-installer/amd64")
PRESEED = f"d-i mirror/udeb/suite string {SUITE}\n"


def make_medium(installer: Installer, folder: Path) -> Path:
    """Make the ISO in ``folder``, with a SHA256SUMS beside it; return its path."""
    tree, added = folder / "tree", folder / "added"
    for each in (tree, added):
        shutil.rmtree(each, ignore_errors=True)
    source = next(installer.netboot.glob("usr/lib/debian-installer/images/*/amd64/text"))
    shutil.copytree(source / "debian-installer", tree / "debian-installer")
    for image in tree.rglob("*.efi"):
        image.unlink()
    with (tree / BOOT / "initrd.gz").open("ab") as initrd:
        initrd.write(gzip.compress(_added(installer, added)))
    screens = tree / BOOT / "boot-screens"
    menu = (screens / "syslinux.cfg").read_text(encoding="ascii")
    waiting = menu.replace("timeout 0\n", "timeout 300\n")
    assert waiting != menu
    (tree / "isolinux.cfg").write_text(waiting, encoding="ascii")
    shutil.copy(screens / "ldlinux.c32", tree)
    shutil.copy(ISOLINUX, tree)
    iso = folder / "installer.iso"
    boot = ["-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-info-table"]
    subprocess.run(
        [
            "xorriso",
            "-as",
            "mkisofs",
            "-quiet",
            "-r",
            "-V",
            "toip-lab",
            *boot,
            "-boot-load-size",
            "4",
            "-o",
            iso,
            tree,
        ],
        check=True,
        capture_output=True,
    )
    digest = hashlib.sha256(iso.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {iso.name}\n", encoding="ascii")
    return iso


def _added(installer: Installer, folder: Path) -> bytes:
    """A second archive for the initrd: the kernel unpacks one over the other."""
    keyring = folder / "usr/share/keyrings/archive.gpg"
    keyring.parent.mkdir(parents=True)
    keyring.write_bytes(installer.keyring)
    (folder / "preseed.cfg").write_text(PRESEED, encoding="ascii")
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    pack = ["busybox", "cpio", "-o", "-H", "newc"]
    return subprocess.run(
        pack, cwd=folder, input=names.encode(), capture_output=True, check=True
    ).stdout
