"""The virtualbox-iso source of the template: what depends on the VirtualBox that is found."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.builders.packer import failure
from toiplab.builders.packer.client import Plugin
from toiplab.errors import ToipLabError
from toiplab.hardware import Forward, Hardware, InternalAdapter

SOURCE = "virtualbox-iso.toip-lab"
PLUGIN = Plugin("github.com/hashicorp/virtualbox", "v1.1.1")
PROGRAM = "VBoxManage"
DRIVER = Path("/dev/vboxdrv")
VERSION = re.compile(r"^(\d+)\.(\d+)\.\d+", re.MULTILINE)
MACHINE = re.compile(r'^"(.*)" \{[0-9a-f-]+\}$', re.MULTILINE)
# What the wrapper script of every Linux package of VirtualBox prints without its driver.
NO_DRIVER = re.compile(r"WARNING: The (?:vboxdrv kernel module|character device /dev/vboxdrv)")
OLDEST = (6, 1)


@dataclass(frozen=True)
class VirtualBox:
    """A VirtualBox of this machine; ``warning`` is what it says of a driver it lacks."""

    program: Path
    version: tuple[int, int]
    warning: str = ""

    @classmethod
    def find(cls) -> VirtualBox:
        """The VirtualBox in PATH.

        Raises:
            ToipLabError: there is none, or one too old.
        """
        program = host.which(PROGRAM)
        if program is None:
            raise failure.no_virtualbox()
        log_and_output = host.run(["sh", "-c", '"$0" --version 2>&1', program], check=False).output
        found = VERSION.search(log_and_output)
        if found is None:
            raise ToipLabError(f"{program} --version: tells no version: {log_and_output.strip()}")
        version = (int(found[1]), int(found[2]))
        if version < OLDEST:
            raise ToipLabError(
                f"VirtualBox {found[0]} is too old", hint="install 6.1 or newer, such as 7.2"
            )
        warned = NO_DRIVER.search(log_and_output)
        return cls(program, version, warned[0] if warned else "")

    @property
    def can_start_machines(self) -> bool:
        """Whether its driver seems to be there."""
        return not self.warning and (sys.platform != "linux" or DRIVER.exists())

    def check(self, name: str) -> None:
        """Refuse what would fail later.

        Raises:
            ToipLabError: it has no driver, or a machine of that name already.
        """
        if self.warning:
            raise failure.no_driver()
        if name in self.machines():
            raise ToipLabError(
                f"VirtualBox has a machine {name} already",
                hint=f"VBoxManage unregistervm {name} --delete   (its disk goes with it; one that "
                f"runs wants VBoxManage controlvm {name} poweroff first), or give the lab file "
                "another name",
            )

    def machines(self) -> list[str]:
        """The names of all machines that are registered."""
        return MACHINE.findall(host.run([self.program, "list", "vms"]).output)

    def remove(self, name: str) -> None:
        """Switch a machine off and remove it with its disk, if there is one of that name."""
        if name in self.machines():
            host.run([self.program, "controlvm", name, "poweroff"], check=False)
            host.run([self.program, "unregistervm", name, "--delete"], check=False)

    def options(self) -> list[list[str]]:
        """The options of ``VBoxManage modifyvm`` that this version has a word of its own for."""
        if self.version < (7, 0):
            return [["--audio", "none"]]
        return [
            ["--audio-driver", "null", "--audio-enabled", "off"],
            # from 7.0 on the guest reaches this machine, and Packer's preseed, only if told so
            ["--nat-localhostreachable1", "on"],
        ]


def forward_rule(forward: Forward) -> str:
    """A port forward (row V4) as ``modifyvm --natpf1`` takes it."""
    return (
        f"{forward.name},{forward.protocol},{forward.host_address},{forward.host_port},,"
        f"{forward.guest_port}"
    )


def lab_network(hardware: Hardware) -> str:
    """The internal network of adapter 2 (row V5)."""
    return next(a.network for a in hardware.adapters if isinstance(a, InternalAdapter))
