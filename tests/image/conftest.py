"""What the tests of the image package share: a small disk, and the hardware of an appliance."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID

import pytest

from toiplab.hardware import Forward, Hardware, InternalAdapter, NatAdapter
from toiplab.image import vmdk
from toiplab.image.ovf import DiskFacts

LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture
def hardware() -> Hardware:
    return Hardware(
        name='TP ToIP <Dakar> & "é"',
        memory=1024,
        cpus=2,
        adapters=(
            NatAdapter(
                (
                    Forward("ssh", "tcp", LOOPBACK, 2222, 22),
                    Forward("sip", "udp", LOOPBACK, 5060, 5060),
                )
            ),
            InternalAdapter("salle <3> & réseau"),
        ),
    )


@pytest.fixture
def disk_facts() -> DiskFacts:
    return DiskFacts(
        file_name="toip-disk001.vmdk",
        size=226304,
        capacity=42991616,
        uuid=UUID("98d72888-069d-5566-b5f0-ce01ac6b3d76"),
    )


def make_raw_disk(path: Path) -> Path:
    """33 MiB (two grain tables), with data in grains 0, 1 and 520."""
    with path.open("wb") as file:
        file.truncate(33 << 20)
        file.write(b"first grain" * 100)
        file.seek(65536)
        file.write(b"second grain" * 5000)
        file.seek(520 * 65536)
        file.write(bytes(range(256)) * 256)
    return path


@pytest.fixture
def raw_disk(tmp_path: Path) -> Path:
    return make_raw_disk(tmp_path / "disk.raw")


@pytest.fixture(scope="session")
def vmdk_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The VMDK of ``raw_disk``, to be broken."""
    folder = tmp_path_factory.mktemp("vmdk")
    vmdk.write(make_raw_disk(folder / "disk.raw"), folder / "disk.vmdk")
    return (folder / "disk.vmdk").read_bytes()
