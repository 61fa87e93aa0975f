"""The image to compare with: the same packages, as plain ``apt install`` leaves them.

None of the overlay is laid, and nothing of it is there while the packages are configured:
Debian's own initramfs, units, network and GRUB's menu of five seconds.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

from toiplab import files
from toiplab.builders import bootstrap, root
from toiplab.builders.packages import PackageSet
from toiplab.host import PROJECT
from toiplab.image import disk
from toiplab.progress import Progress

SCRIPT = PROJECT / "scripts" / "plain.sh"
FS_UUID = uuid.UUID("7d9d42b2-3a0e-4f0c-8f52-0d4d6c1f9b11")
SIGNATURE = 0x746F6970
DISK_BYTES = 8 << 30
# What update-grub writes, in short; Debian's GRUB_TIMEOUT is 5.
GRUB_CFG = f"""set timeout=5
set default=0
search --no-floppy --fs-uuid --set=root {FS_UUID}
menuentry "Debian GNU/Linux" {{
    linux /vmlinuz root=UUID={FS_UUID} ro quiet
    initrd /initrd.img
}}
"""
FSTAB = f"UUID={FS_UUID} / ext4 errors=remount-ro 0 1\n"


def make_disk(package_set: PackageSet, target: Path, *, log: Path, progress: Progress) -> Path:
    """Make the raw disk ``target``, which boots and answers SIP behind its first card.

    Raises:
        ToipLabError: mmdebstrap or mke2fs failed; the log says why.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".plain-", dir=target.parent) as name:
        folder = Path(name)
        packages = folder / "packages.tar"
        bootstrap.make_root(package_set, target=packages, log=log, progress=progress)
        (folder / "stage").mkdir()
        files.write(folder / "direct/grub.cfg", GRUB_CFG.encode())
        files.write(folder / "direct/fstab", FSTAB.encode())
        with progress.step("Make the plain disk"):
            facts = root.make_filesystem(
                folder / "root.ext4",
                packages=packages,
                stage=folder,
                size=DISK_BYTES - disk.MIB,
                uuid=FS_UUID,
                epoch=package_set.epoch,
                log=log,
                provision=SCRIPT,
            )
            disk.assemble(
                target,
                root_fs=folder / "root.ext4",
                boot_img=facts.boot_img,
                core_img=facts.core_img,
                signature=SIGNATURE,
            )
    return target
