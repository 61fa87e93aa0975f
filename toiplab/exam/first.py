"""The first exam: the services as they report themselves, and SIP through the forwards."""

from __future__ import annotations

from toiplab.exam import asterisk, calls, dialplan, network, packages, sip, ssh, system
from toiplab.exam.registry import Check

# The first check waits until the machine has settled; the one that restarts the lab card
# comes last of the network's, the one that makes a call last of all.
FIRST_EXAM: tuple[Check, ...] = (
    *system.CHECKS,
    *packages.CHECKS,
    *network.CHECKS,
    *ssh.CHECKS,
    *asterisk.CHECKS,
    *dialplan.CHECKS,
    *sip.CHECKS,
    *calls.CHECKS,
)
