"""A whole OVA that costs nothing: the lab's machine, with a disk that boots nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.image.conftest import make_raw_disk
from tests.test_manifest import MADE
from toiplab import manifest
from toiplab.image import ova, ovf, vmdk
from toiplab.image.ova import Ova
from toiplab.lab.load import load
from toiplab.manifest import LabRecord


def make(path: Path, lab_file: Path) -> Ova:
    """Write an OVA of the lab's machine to ``path``, and its manifest beside it."""
    raw = make_raw_disk(path.with_suffix(".raw"))
    disk = path.with_name(f"{path.stem}-disk1.vmdk")
    info = vmdk.write(raw, disk)
    raw.unlink()
    lab = load(lab_file)
    facts = ovf.DiskFacts(disk.name, disk.stat().st_size, info.capacity, info.uuid)
    made = ova.write(path, descriptor=ovf.write(lab.hardware, facts), disk=disk)
    disk.unlink()
    record = MADE.model_copy(
        update={
            "lab": LabRecord(
                name=lab.name,
                file=str(lab_file),
                sha256=hashlib.sha256(lab_file.read_bytes()).hexdigest(),
            ),
            "release": "bullseye",
            "debian": "11.11",
            "disk_uuid": str(info.uuid),
            "ova": path.name,
            "ova_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "ova_bytes": path.stat().st_size,
        }
    )
    manifest.write(record, path)
    return made
