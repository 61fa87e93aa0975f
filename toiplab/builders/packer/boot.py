"""What the installer is told before it can read its preseed: the kernel's command line.

The installers of Debian 10 and 11 ask for language, keyboard and network before they have
a network to fetch the preseed over, so these answers travel with the boot command.
"""

from __future__ import annotations

from typing import Literal

from toiplab.lab.model import Lab

HOST = "10.0.2.2"  # this machine, as the guest sees it behind NAT: QEMU's and VirtualBox's word
Priority = Literal["critical", "high"]


def arguments(lab: Lab, *, log_port: int, priority: Priority = "critical") -> str:
    """The arguments that follow the preseed's address in the boot command.

    ``log_port`` is the UDP port of this machine that the installer's syslog goes to. Short
    names are aliases, see preseed-aliases(7) in the installation guide, appendix B.2.
    """
    words = (
        f"priority={priority}",
        f"locale={lab.locale}",
        f"keymap={lab.keyboard}",
        f"hostname={lab.hostname}",
        "domain=",
        f"interface={lab.nat_interface}",
        f"log_host={HOST}",
        f"log_port={log_port}",
        # the installer tells which questions it would ask, see installer.py
        "DEBCONF_DEBUG=developer",
    )
    return " ".join(words)
