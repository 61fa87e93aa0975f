"""A network helper for QEMU: opens a tap on the bridge and hands it over, qemu(1) ``helper=``.

QEMU runs it, by way of nsenter, inside the lab's namespace, so that QEMU itself stays
outside of it. The tap is gone as soon as QEMU closes it, however QEMU ends. This file is
run by itself and needs nothing but Python.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import socket
import struct
import subprocess

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
IFREQ = "16sH22x"


def open_tap() -> tuple[int, str]:
    """A new tap in this network namespace: its descriptor, and the name the kernel gave it."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    request = struct.pack(IFREQ, b"tap%d", IFF_TAP | IFF_NO_PI)
    name, _flags = struct.unpack(IFREQ, fcntl.ioctl(tap, TUNSETIFF, request))
    return tap, name.rstrip(b"\0").decode()


def main() -> None:
    """Do what QEMU asks of its helper: send the descriptor over the socket it names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--br", required=True, help="the bridge")
    parser.add_argument("--fd", type=int, required=True, help="QEMU's socket")
    parser.add_argument("--use-vnet", action="store_true", help="offered, and not taken")
    asked = parser.parse_args()
    tap, name = open_tap()
    subprocess.run(["ip", "link", "set", name, "master", asked.br, "up"], check=True)
    with socket.socket(fileno=asked.fd) as qemu:
        socket.send_fds(qemu, [b"\0"], [tap])


if __name__ == "__main__":
    main()
