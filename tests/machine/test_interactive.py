import subprocess
import sys
import textwrap
from ipaddress import IPv4Address

import pexpect
import pytest
from boot_sector import POWER_OFF, puts, repeated

from toiplab import host
from toiplab.hardware import Forward
from toiplab.machine.interactive import filter_keys, forward_lines

LOOPBACK = IPv4Address("127.0.0.1")


def test_forwards_as_a_person_reads_them():
    forwards = [
        Forward("ssh", "tcp", LOOPBACK, 2222, 22),
        Forward("sip", "udp", LOOPBACK, 15060, 5060),
        *(Forward(f"rtp-{port}", "udp", LOOPBACK, port, port) for port in range(10000, 10020)),
        Forward("web", "tcp", IPv4Address("0.0.0.0"), 8080, 80),
    ]
    assert list(forward_lines(forwards, "prof")) == [
        "ssh: ssh -p 2222 prof@127.0.0.1  ->  guest port 22",
        "sip: SIP server 127.0.0.1:15060 (udp)  ->  guest port 5060",
        "rtp: udp 127.0.0.1:10000-10019  ->  guest port 10000-10019",
        "web: tcp 0.0.0.0:8080  ->  guest port 80",
    ]


@pytest.mark.parametrize(
    ("typed", "escaped", "passed", "pending", "leave"),
    [
        (b"ls\r", False, b"ls\r", False, False),
        (b"a\x01", False, b"a", True, False),
        (b"x", True, b"", False, True),
        (b"X", True, b"", False, True),
        (b"ab\x01xcd", False, b"ab", False, True),
        (b"\x01\x01", False, b"\x01", False, False),
        (b"\x01q", False, b"q", False, False),
        (b"\x03", False, b"\x03", False, False),
    ],
)
def test_the_escape_key(typed, escaped, passed, pending, leave):
    assert filter_keys(typed, escaped) == (passed, pending, leave)


def person(disk, tmp_path):
    return textwrap.dedent(
        f"""
        from pathlib import Path
        from toiplab.hardware import Hardware
        from toiplab.machine.interactive import boot_for_person
        from toiplab.machine.machine import Machine
        from toiplab.machine.qemu import Disk
        from toiplab.progress import Progress

        disk = Disk({disk.backing!r}, "raw")
        logs = Path({str(tmp_path / "logs")!r})
        with Machine(Hardware("essai", 64, 1, ()), disk, logs, accelerator="tcg") as guest:
            boot_for_person(guest, Progress(), user="prof")
        print("qemu ended:", guest.running is False)
        """
    )


needs_qemu = pytest.mark.skipif(
    host.which("qemu-system-x86_64") is None, reason="needs QEMU (package qemu-system-x86)"
)


@needs_qemu
@pytest.mark.parametrize("keys", ["\x01x", "\x03\x01X"])
def test_the_console_of_a_machine_in_a_terminal(prompting_disk, tmp_path, keys):
    """Forwards first, then what the guest says; Ctrl-A X ends QEMU and gives the terminal back."""
    script = person(prompting_disk, tmp_path)
    child = pexpect.spawn(sys.executable, ["-c", script], cwd=host.PROJECT, timeout=20)
    child.expect("Ctrl-A X ends the machine")
    child.expect("srv login: ")
    child.send(keys)
    child.expect("the machine has ended\r\n")
    child.expect("qemu ended: True\r\n")
    child.expect(pexpect.EOF)
    assert child.wait() == 0


@needs_qemu
def test_without_a_terminal_it_shows_all_until_the_machine_ends(disk_with, tmp_path):
    disk = disk_with(repeated(".", 5000) + puts("bye") + POWER_OFF)
    ended = subprocess.run(
        [sys.executable, "-c", person(disk, tmp_path)],
        check=False,
        cwd=host.PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 0
    assert ended.stdout == "." * 5000 + "bye" + "qemu ended: True\n"
    assert ended.stderr.endswith("the machine has ended\n")
