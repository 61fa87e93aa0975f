"""A real QEMU records what goes through an adapter; its NAT speaks when it is spoken to."""

import socket
from ipaddress import IPv4Address

import pytest
from boot_sector import HALT, puts

from toiplab import host
from toiplab.hardware import Forward, Hardware, InternalAdapter, NatAdapter
from toiplab.machine.machine import Machine
from toiplab.machine.waiting import Deadline, GuestError

pytestmark = pytest.mark.skipif(
    host.which("qemu-system-x86_64") is None, reason="needs QEMU (package qemu-system-x86)"
)
PCAP_HEADER_BYTES = 24
ARP = b"\x08\x06"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_what_goes_through_an_adapter(disk_with, tmp_path):
    forward = Forward("sip", "udp", IPv4Address("127.0.0.1"), free_port(), 5060)
    hardware = Hardware("essai", 64, 1, (NatAdapter((forward,)), InternalAdapter("labo")))
    disk = disk_with(puts("hello") + HALT)
    first, second = tmp_path / "1.pcap", tmp_path / "2.pcap"
    with Machine(hardware, disk, tmp_path / "logs", accelerator="tcg") as machine:
        machine.start()
        with (
            machine.capture(1, first),
            machine.capture(2, second),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
        ):
            phone.sendto(b"OPTIONS", ("127.0.0.1", forward.host_port))
            deadline = Deadline.within(20)
            while first.stat().st_size <= PCAP_HEADER_BYTES:
                assert not deadline.passed
                machine.qemu.wait(0.02)
        assert ARP in first.read_bytes()  # the NAT asks where the guest is
        assert second.stat().st_size == PCAP_HEADER_BYTES
        with machine.capture(1, first):  # again, from the beginning
            pass
        with machine.capture(1, first):
            machine.stop()


def test_a_machine_that_is_off_has_nothing_to_record(disk_with, tmp_path):
    machine = Machine(Hardware("essai", 64, 1, ()), disk_with(HALT), tmp_path / "logs")
    with (
        pytest.raises(GuestError, match="the machine essai is not running"),
        machine.capture(1, tmp_path / "1.pcap"),
    ):
        pass
