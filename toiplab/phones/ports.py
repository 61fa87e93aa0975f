"""Ports for the programs that play phones."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack

from toiplab.phones.handset import LOOPBACK

OWN_PORTS = range(12000, 20000, 2)  # below Linux's ephemeral ports


def free_ports() -> tuple[int, int]:
    """Two ports that nobody on this host has at this moment, for udp and for tcp.

    Nor the ones after them: baresip takes the next as well, for SIP over TLS.
    They are not ephemeral ones either: a TCP socket that tries one of those again and again until
    somebody listens may in the end be connected to itself.
    """
    with ExitStack() as held:
        first, second = (_hold_a_port(held) for _ in range(2))
        return first, second


def _hold_a_port(held: ExitStack) -> int:
    while True:
        port = secrets.choice(OWN_PORTS)
        try:
            for number in (port, port + 1):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    trial = held.enter_context(socket.socket(socket.AF_INET, kind))
                    trial.bind((str(LOOPBACK), number))
        except OSError:
            continue
        return port
