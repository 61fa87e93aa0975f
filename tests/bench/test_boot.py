"""Boots that are measured."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from toiplab.bench.boot import wait_for_sip
from toiplab.errors import ToipLabError
from toiplab.hardware import Forward, Hardware, NatAdapter
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk


def test_a_machine_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    empty = tmp_path / "empty.raw"
    with empty.open("wb") as disk:
        disk.truncate(1 << 20)
    forward = Forward("sip", "udp", IPv4Address("127.0.0.1"), 25060, 5060)
    hardware = Hardware("empty", 64, 1, (NatAdapter((forward,)),))
    disk = Disk(str(empty), "raw")
    with Machine(hardware, disk, tmp_path / "logs", accelerator="tcg") as machine:
        machine.start()
        machine.qemu.process.kill()

        with pytest.raises(ToipLabError, match="no SIP answer"):
            wait_for_sip(machine, 0, 0)
