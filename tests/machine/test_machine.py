"""Real QEMU, without a guest worth the name: an empty disk, a boot sector, a wrong file."""

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from boot_sector import HALT, POWER_OFF, puts, repeated

from toiplab import host
from toiplab.errors import BAD_INPUT, ToipLabError
from toiplab.hardware import Forward, Hardware, InternalAdapter, NatAdapter
from toiplab.machine.accelerator import Accelerator, KvmMemory
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk
from toiplab.machine.waiting import DeadlineError, GuestError, MachineGoneError

pytestmark = pytest.mark.skipif(
    host.which("qemu-system-x86_64") is None, reason="needs QEMU (package qemu-system-x86)"
)


def hardware(*forwards):
    return Hardware("essai", 64, 1, (NatAdapter(forwards), InternalAdapter("labo")))


@pytest.fixture
def empty_disk(tmp_path):
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(1 << 20)
    return Disk(str(disk), "raw")


def machine(disk, tmp_path, *forwards, accelerator="tcg"):
    return Machine(hardware(*forwards), disk, tmp_path / "logs", accelerator=accelerator)


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "logs").iterdir())


def test_a_guest_that_never_boots(empty_disk, tmp_path):
    with machine(empty_disk, tmp_path) as guest:
        with pytest.raises(DeadlineError) as caught:
            guest.boot(within=1)
        process = guest.qemu.process
    assert caught.value.status == BAD_INPUT
    assert str(caught.value) == (
        "the guest did not show a login prompt (under TCG) within 1 s;"
        " its serial console stayed silent\n"
        f"  serial log: {tmp_path}/logs/serial.log"
    )
    assert process.poll() is not None
    assert left(tmp_path) == ["qemu.log", "serial.log"]


def test_a_guest_that_panics_ends_the_wait_at_once(disk_with, tmp_path):
    guest = machine(disk_with(puts("one\r\nKernel panic - oh\r\n") + HALT), tmp_path)
    with guest, pytest.raises(GuestError) as caught:
        guest.boot(within=60)
    assert str(caught.value) == (
        "the guest shows 'Kernel panic' in place of a login prompt (under TCG);"
        " its serial console ended with\n"
        "  | one\n"
        "  | Kernel panic - oh\n"
        f"  serial log: {tmp_path}/logs/serial.log"
    )
    assert (tmp_path / "logs" / "serial.log").read_text().startswith("one\n")


def test_a_guest_that_goes_away(disk_with, tmp_path):
    guest = machine(disk_with(puts("bye") + POWER_OFF), tmp_path)
    with guest, pytest.raises(MachineGoneError) as caught:
        guest.boot(within=60)
    assert caught.value.message.startswith(
        "the machine ended before it showed a login prompt (under TCG); "
    )


def test_a_guest_does_not_stop_when_nobody_reads_its_console(disk_with, tmp_path):
    with machine(disk_with(repeated(".", 20000) + POWER_OFF), tmp_path) as guest:
        guest.start()
        assert guest.qemu.wait(20)
    assert (tmp_path / "logs" / "serial.log").read_text() == "." * 20000


def test_the_power_button(disk_with, tmp_path):
    """A guest that switches itself off while the button is waited for."""
    with machine(disk_with(repeated(".", 20000) + POWER_OFF), tmp_path) as guest:
        guest.start()
        guest.shutdown(within=20)


def test_screen_status_crash_and_an_ignored_power_button(prompting_disk, tmp_path):
    with machine(prompting_disk, tmp_path) as guest:
        guest.boot(within=20)
        assert guest.qemu.qmp.status() == "running"
        guest.screenshot(tmp_path / "screen.png")
        assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
        guest.crash(within=20)
        with pytest.raises(DeadlineError) as caught:
            guest.shutdown(within=0.5)
        assert caught.value.message.startswith("the guest did not switch itself off within 0.5 s")
        with pytest.raises(GuestError, match="the machine essai is not running"):
            guest.console.tail()


def test_a_disk_that_is_not_there(tmp_path):
    guest = machine(Disk("/nowhere/disk.vmdk", "vmdk"), tmp_path)
    with guest, pytest.raises(ToipLabError) as caught:
        guest.boot()
    assert "Could not open '/nowhere/disk.vmdk': No such file or directory" in str(caught.value)
    assert left(tmp_path) == []


def test_qemu_that_ends_at_once(empty_disk, tmp_path):
    class Unknown:
        def netdev(self, ident, adapter):
            return f"nosuch,id={ident}"

    guest = Machine(hardware(), empty_disk, tmp_path / "logs", accelerator="tcg", lan=Unknown())
    with guest, pytest.raises(MachineGoneError) as caught:
        guest.boot()
    log = tmp_path / "logs" / "qemu.log"
    assert str(caught.value) == (
        "QEMU ended at once, with status 1:\n"
        "  | qemu-system-x86_64: -netdev nosuch,id=net2:"
        " Parameter 'type' does not accept value 'nosuch'\n"
        f"  log: {log}"
    )
    assert log.read_text().startswith("$ qemu-system-x86_64 ")


def test_a_taken_port_is_told_before_anything_starts(empty_disk, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holding:
        holding.bind(("127.0.0.1", 0))
        port = holding.getsockname()[1]
        sip = Forward("sip", "udp", IPv4Address("127.0.0.1"), port, 5060)
        with (
            machine(empty_disk, tmp_path, sip) as guest,
            pytest.raises(ToipLabError, match=f'127.0.0.1:{port}/udp .forward "sip".'),
        ):
            guest.boot()
    assert not (tmp_path / "logs").exists()


def test_forwards_are_open_while_the_machine_runs(prompting_disk, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ssh = Forward("ssh", "tcp", IPv4Address("127.0.0.1"), port, 22)
    with machine(prompting_disk, tmp_path, ssh) as guest:
        guest.boot(within=20)
        socket.create_connection(("127.0.0.1", port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_qemu_ends_with_its_parent(empty_disk, tmp_path, number):
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from toiplab.hardware import Hardware
        from toiplab.machine.machine import Machine
        from toiplab.machine.qemu import Disk

        disk = Disk({empty_disk.backing!r}, "raw")
        logs = Path({str(tmp_path / "logs")!r})
        with Machine(Hardware("x", 64, 1, ()), disk, logs, accelerator="tcg") as guest:
            guest.start()
            print(guest.qemu.process.pid, flush=True)
            guest.console.rest(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=host.PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        qemu = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(number)
        parent.wait(20)
    try:
        ended, _, _ = select.select([qemu], [], [], 20)  # a pidfd is readable once it has ended
        assert ended
    finally:
        os.close(qemu)
    assert left(tmp_path) == ["qemu.log", "serial.log"]


def test_a_kvm_that_fails_is_remembered_once_tcg_has_brought_a_kernel_up(
    disk_with, tmp_path, monkeypatch
):
    both = (Accelerator.KVM, Accelerator.TCG)
    monkeypatch.setattr("toiplab.machine.machine.candidates", lambda *_: both)
    monkeypatch.setattr(Machine, "_comes_up_under", lambda *_: False)
    with machine(disk_with(puts("Linux version 4.19\r\n") + HALT), tmp_path) as guest:
        guest.start()
        assert guest.accelerator == "tcg"
    assert KvmMemory(tmp_path / "logs" / "kvm-fails").fails()


def test_fallback_to_tcg_where_kvm_brings_nothing_up(empty_disk, tmp_path, monkeypatch):
    """Whatever is wrong with KVM on this host, the machine then runs under TCG."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("this host has no /dev/kvm that could fail")
    monkeypatch.setattr("toiplab.machine.machine.KVM_SECONDS", 0.5)
    monkeypatch.setattr("toiplab.machine.machine.TCG_SECONDS", 0.5)
    started = time.monotonic()
    with machine(empty_disk, tmp_path, accelerator="auto") as guest:
        guest.start()
        assert guest.accelerator == "tcg"
        assert guest.qemu.running
    assert time.monotonic() - started < 30
    # An empty disk brings nothing up under TCG either: KVM is not to blame.
    assert not Path(tmp_path / "logs" / "kvm-fails").exists()
