"""Real namespaces: phones reach each other, and nothing else."""

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from boot_sector import HALT, puts

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.hardware import Hardware, InternalAdapter, NatAdapter
from toiplab.machine.lan.network import LabNetwork
from toiplab.machine.machine import Machine
from toiplab.machine.waiting import DeadlineError

PCAP_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16
SEND = """
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[2])):
    out.sendto(b"datagram %d" % number, (sys.argv[1], 5060))
"""


def ping(phone, address):
    return phone.run(["busybox", "ping", "-c", "1", "-W", "1", str(address)])


def links(run=subprocess.check_output):
    return {link["ifname"] for link in json.loads(run(["ip", "-j", "link"]))}


def frames(file):
    """The frames in a pcap file, pcap-savefile(5)."""
    data = file.read_bytes()
    found, at = [], PCAP_HEADER_BYTES
    while at < len(data):
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        at += RECORD_HEADER_BYTES
        found.append(data[at : at + length])
        at += length
    return found


@pytest.fixture
def pair(lan):
    a, b = lan.phone("A"), lan.phone("B")
    a.configure(IPv4Interface("192.168.10.11/24"))
    b.configure(IPv4Interface("192.168.10.12/24"))
    return a, b


def test_two_phones_reach_each_other(pair):
    a, b = pair
    assert ping(a, b.address).status == 0
    assert ping(b, a.address).status == 0
    assert a.mac != b.mac
    assert b.mac in a.run(["ip", "neigh"]).output


def test_a_phone_has_one_card_and_no_way_out(lan, pair):
    a, b = pair
    assert links(lambda argv: a.run(argv).output) == {"lo", "eth0"}
    assert "unreachable" in ping(a, "192.0.2.2").output
    a.configure(IPv4Interface("192.168.10.11/24"), router=b.address)  # which leads nowhere
    assert ping(a, "192.0.2.2").status != 0


def test_the_host_sees_nothing_of_it(possible):
    before = links()
    with LabNetwork.open() as lan:
        lan.phone("A")
        assert links() == before


def test_names_of_phones(lan):
    lan.phone("salle-3-r-2")
    with pytest.raises(ToipLabError) as caught:
        lan.phone("salle-3-r-2")
    assert caught.value.message == "there is a phone salle-3-r-2 on the lab network already"
    with pytest.raises(ToipLabError) as caught:
        lan.phone("salle 3")
    assert str(caught.value) == (
        "a phone cannot be named 'salle 3'\n  1 to 12 letters, digits and dashes"
    )


def test_a_phone_without_an_address_says_so(lan):
    with pytest.raises(ToipLabError) as caught:
        _ = lan.phone("A").address
    assert caught.value.message == "phone A has no address yet"


def test_programs_of_a_phone(lan):
    phone = lan.phone("A")
    ended = phone.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (ended.status, ended.output) == (3, "out\nerr\n")
    with pytest.raises(DeadlineError) as caught:
        phone.run(["sh", "-c", "echo begun; exec sleep 1000"], timeout=0.5)
    assert caught.value.message == (
        "this did not end within 0.5 s: sh -c echo begun; exec sleep 1000\n  | begun"
    )
    with pytest.raises(ToipLabError, match="missing on this machine: no-such-program"):
        phone.popen(["no-such-program"])


def test_a_signal_reaches_the_program_itself(lan):
    trap = "trap 'echo bye; exit 7' TERM; echo ready; while :; do read -r _ || :; done"
    softphone = lan.phone("A").popen(
        ["bash", "-c", trap], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with softphone:
        assert softphone.stdout.readline() == b"ready\n"
        softphone.terminate()
        assert softphone.stdout.readline() == b"bye\n"
        assert softphone.wait(10) == 7


def test_a_program_outlives_the_thread_that_started_it(lan):
    phone = lan.phone("A")
    echo = {}

    def start():
        echo["process"] = phone.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    with echo["process"] as process:
        assert process.communicate(b"still here", timeout=10)[0] == b"still here"


def test_phones_are_plugged_in_from_many_threads(lan):
    with ThreadPoolExecutor(4) as pool:
        phones = list(pool.map(lan.phone, [str(5000 + number) for number in range(8)]))
    assert len({phone.mac for phone in phones}) == 8


def test_programs_end_with_the_network(possible, lan):
    sleeper = lan.phone("A").popen(["sleep", "1000"])
    lan.close()
    assert sleeper.returncode is not None


def test_a_capture_has_each_frame_once_to_the_last(lan, pair, tmp_path):
    a, b = pair
    assert ping(a, b.address).status == 0  # they know each other now, no frame has to wait
    file = tmp_path / "lab.pcap"
    with lan.capture(file):
        sent = a.run([sys.executable, "-I", "-c", SEND, str(b.address), "1000"])
    assert sent.status == 0
    texts = [frame[42:].decode() for frame in frames(file) if frame[23] == socket.IPPROTO_UDP]
    assert texts == [f"datagram {number}" for number in range(1000)]


def test_a_capture_ends_with_an_error_too(lan, tmp_path):
    with pytest.raises(TimeoutError, match="of the block"), lan.capture(tmp_path / "lab.pcap"):
        raise TimeoutError("of the block")
    assert (tmp_path / "lab.pcap").stat().st_size >= PCAP_HEADER_BYTES


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("/dev/full", "no capture: OSError: [Errno 28] No space left on device"),
        ("/dev/null/lab.pcap", "cannot be written: Not a directory"),
    ],
)
def test_a_capture_that_cannot_be_written(lan, file, why):
    with pytest.raises(ToipLabError) as caught, lan.capture(Path(file)):
        pytest.fail("the block began")
    assert caught.value.message == f"{file}: {why}"


def bridge_ports(lan):
    ports = json.loads(
        subprocess.check_output([*lan.enter, "ip", "-j", "link", "show", "master", "lab"])
    )
    return {port["ifname"] for port in ports if port}


@pytest.mark.skipif(
    host.which("qemu-system-x86_64") is None, reason="needs QEMU (package qemu-system-x86)"
)
def test_a_machine_is_plugged_in_while_it_runs(lan, disk_with, tmp_path):
    hardware = Hardware("essai", 64, 1, (NatAdapter(), InternalAdapter("labo")))
    lan.phone("A")
    disk = disk_with(puts("hello") + HALT)
    with Machine(hardware, disk, tmp_path / "logs", accelerator="tcg", lan=lan) as machine:
        machine.start()
        machine.wait_for_console_text("hello", within=30)
        assert bridge_ports(lan) == {"to-A", "tap0"}
        machine.stop()
        assert bridge_ports(lan) == {"to-A"}
        machine.start()
        assert bridge_ports(lan) == {"to-A", "tap0"}


def test_one_lab_network_is_one_internal_network(lan):
    lan.netdev("net2", InternalAdapter("labo"))
    lan.netdev("net3", InternalAdapter("labo"))
    with pytest.raises(ToipLabError) as caught:
        lan.netdev("net4", InternalAdapter("autre"))
    assert caught.value.message == "one lab network cannot be labo and autre"
