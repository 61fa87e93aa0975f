"""A small OVA with an ext4 file system of a few files, of which a test changes one thing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.image.filesystem import EPOCH, make_ext4
from toiplab.hardware import Hardware
from toiplab.image import ova, ovf, vmdk
from toiplab.image.disk import MIB
from toiplab.image.inodes import settle_times


@dataclass
class Appliance:
    """What goes into the OVA."""

    tree: Path
    memory: int = 512
    boot: bytes = b"GRUB"
    epoch: int = EPOCH

    @classmethod
    def of(cls, tree: Path) -> Appliance:
        """With a file to read, a private one, one with a hole, and a link."""
        (tree / "etc").mkdir(parents=True)
        (tree / "etc/hostname").write_text("toip\n")
        (tree / "etc/shadow").write_text("root:*:1:::::\n")
        (tree / "etc/shadow").chmod(0o640)
        (tree / "etc/with a space").write_text("x" * 9000)
        (tree / "etc/link").symlink_to("hostname")
        (tree / "etc/sparse").write_bytes(b"a" + bytes(20000) + b"b")
        return cls(tree)

    def pack(self, folder: Path) -> Path:
        """Make ``toip.ova`` in a new folder; what it is made of stays beside it."""
        folder.mkdir()
        for path in (*self.tree.rglob("*"), self.tree):
            if path.lstat().st_mtime > EPOCH:
                os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
        root_fs = make_ext4(self.tree, folder / "root.ext4")
        settle_times(root_fs, self.epoch)
        raw = folder / "disk.raw"
        raw.write_bytes(self.boot.ljust(MIB, b"\0") + root_fs.read_bytes())
        disk = folder / "toip-disk1.vmdk"
        info = vmdk.write(raw, disk)
        facts = ovf.DiskFacts(disk.name, disk.stat().st_size, info.capacity, info.uuid)
        hardware = Hardware(name="toip", memory=self.memory, cpus=1, adapters=())
        ova.write(folder / "toip.ova", descriptor=ovf.write(hardware, facts), disk=disk)
        return folder / "toip.ova"
