"""A story on the lab network, for another process: it tells its parts and waits for input.

Prints one line of JSON: its programs, and the namespaces they are in. ``--tap`` also does
what QEMU does with its helper, and sends a frame through the tap to a phone.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from ipaddress import IPv4Interface
from pathlib import Path

from toiplab.hardware import InternalAdapter
from toiplab.machine.lan.network import LabNetwork

ETHERTYPE = 0x88B5
LISTEN = f"""
import socket
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
card.bind(("eth0", {ETHERTYPE}))
print("listening", flush=True)
print(card.recv(2000)[14:].rstrip(bytes(1)).decode(), flush=True)
"""


def tap_as_qemu_opens_it(netdev):
    """net/tap.c: the helper is given one end of a socket pair, and sends the tap over it."""
    helper = netdev.partition("helper=")[2].replace(",,", ",")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = f"{helper} --use-vnet --fd={theirs.fileno()}"
        subprocess.run(["sh", "-c", command], check=True, pass_fds=[theirs.fileno()])
        return socket.recv_fds(ours, 1, 1)[1][0]


def heard_through_the_tap(lan, phone):
    tap = tap_as_qemu_opens_it(lan.netdev("net2", InternalAdapter("labo")))
    python = [sys.executable, "-I", "-c", LISTEN]
    with phone.popen(python, stdout=subprocess.PIPE) as listener:
        listener.stdout.readline()
        os.write(tap, b"\xff" * 6 + b"\x02\0\0\0\0\x09" + ETHERTYPE.to_bytes(2, "big") + b"salut")
        return listener.stdout.readline().decode().strip()


def namespace(process):
    return Path(f"/proc/{process}/ns/net").readlink().name


def main():
    with LabNetwork.open() as lan, tempfile.TemporaryDirectory() as folder:
        a, b = lan.phone("A"), lan.phone("B")
        a.configure(IPv4Interface("192.168.10.1/24"))
        b.configure(IPv4Interface("192.168.10.2/24"))
        pong = b.run(["busybox", "ping", "-c", "1", "-W", "5", "192.168.10.1"]).status == 0
        heard = heard_through_the_tap(lan, a) if "--tap" in sys.argv else ""
        sleepers = [
            phone.popen(["sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
            for phone in (a, b)
        ]
        for sleeper in sleepers:
            sleeper.stdout.readline()
        with lan.capture(Path(folder) / "lab.pcap"):
            print(
                json.dumps(
                    {
                        "pong": pong,
                        "heard": heard,
                        "processes": [sleeper.pid for sleeper in sleepers],
                        "namespaces": [namespace(sleeper.pid) for sleeper in sleepers],
                    }
                ),
                flush=True,
            )
            sys.stdin.read()


if __name__ == "__main__":
    main()
