"""The rows of the contract: the part of the course each belongs to, and what it expects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """A part of the course, in the course's order."""

    MACHINE = "The virtual machine"
    INSTALLATION = "The installation"
    NETWORK = "The lab network"
    DHCP = "DHCP"
    SSH = "ssh"
    TELEPHONY = "Telephony"
    WHOLE = "The appliance as a whole"


@dataclass(frozen=True)
class Row:
    """A row: its name as checks use it, such as ``A6``, and what it expects, in a sentence."""

    name: str
    part: Part
    expected: str


ROWS = tuple(
    Row(name, part, expected)
    for part, rows in (
        (
            Part.MACHINE,
            {
                "V1": "A 64-bit Debian machine with the lab file's name, memory and adapters.",
                "V2": "It boots from the hard disk first, then from the optical drive.",
                "V3": "An empty optical drive on an IDE controller.",
                "V4": "Adapter 1 is NAT; ssh, SIP and sound are forwarded from the host.",
                "V5": "Adapter 2 is on the internal lab network, never bridged to a school's.",
            },
        ),
        (
            Part.INSTALLATION,
            {
                "I1": "Nobody presses a key between power-on and the installed system.",
                "I2": "The popularity contest is answered no.",
                "I3": "The software selection is the lab file's.",
                "I4": "GRUB in the MBR boots the release's newest kernel.",
                "I5": "Release, updates and security: nothing is left to upgrade.",
                "I6": "Every package of the course is installed, with what it needs.",
                "I7": "Asterisk is active, and enabled at every boot.",
                "I8": "/usr/save holds every edited file as its package had it.",
            },
        ),
        (
            Part.NETWORK,
            {
                "N1": "The lab card carries the server's fixed address.",
                "N2": "The same card carries the DHCP router's address: one shared network.",
                "N3": "Restarting the card brings every address back.",
            },
        ),
        (
            Part.DHCP,
            {
                "D1": "The server serves the lab card alone; nothing is offered on adapter 1.",
                "D2": "The server is authoritative.",
                "D3": "A phone gets an address of the range, with the lab's options and times.",
                "D4": "The server is active, and enabled at every boot.",
            },
        ),
        (
            Part.SSH,
            {
                "H1": "The administrator logs in and may become root; root as the lab file says.",
                "H2": "ssh is active; host keys and machine-id are made at the first boot.",
            },
        ),
        (
            Part.TELEPHONY,
            {
                "A1": "chan_sip with the lab's codecs, digits by RFC 2833, and video; no guests.",
                "A2": "Every phone of the lab registers with its secret; nobody else does.",
                "A3": "Every phone can be dialled in its context.",
                "A4": "A phone rings as long as the lab says, then voicemail; contexts are apart.",
                "A5": "A message is left, the phone's light comes on, and it is heard back.",
                "A6": "A parked call is taken back from the slot that was spoken, or returns.",
                "A7": "No number hides another: parking, voicemail and phones are apart.",
                "A8": "The keys that transfer a call: at once, or after talking first.",
                "A9": "The prompts are heard in the lab's language.",
                "A10": "MP3 music on hold plays, the MySQL modules load, calls are recorded.",
            },
        ),
        (
            Part.WHOLE,
            {
                "whole": "Everything that starts has started, and nothing runs that is not the "
                "lab's.",
            },
        ),
    )
    for name, expected in rows.items()
)
