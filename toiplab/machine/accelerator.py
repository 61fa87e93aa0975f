"""Which of QEMU's accelerators to use: KVM where Linux really comes up under it, else TCG.

That ``/dev/kvm`` opens proves little: there are hosts where the firmware runs and Linux
never says a word. So the guest itself is the probe: ``Machine.start`` watches for its
kernel, falls back to TCG, and the failure is remembered until the host restarts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from toiplab.errors import ToipLabError

KVM_DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Choice = Literal["auto", "kvm", "tcg"]


class Accelerator(StrEnum):
    """How QEMU runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class KvmMemory:
    """Remembers in a small file that Linux did not come up under this host's KVM.

    The file holds the host's boot id, random(4): after a restart KVM gets a new chance.
    """

    file: Path

    def fails(self) -> bool:
        """Whether KVM is known to fail since the host started."""
        return self.file.exists() and self.file.read_text(encoding="ascii") == _boot_id()

    def remember_failure(self) -> None:
        """Note that KVM fails here until the host restarts."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(_boot_id(), encoding="ascii")


def candidates(
    choice: Choice, memory: KvmMemory, device: Path = KVM_DEVICE
) -> tuple[Accelerator, ...]:
    """The accelerators to try, best first; one alone needs no watching.

    Raises:
        ToipLabError: KVM was asked for by name and this user cannot open it.
    """
    usable = os.access(device, os.R_OK | os.W_OK)
    match choice:
        case "tcg":
            return (Accelerator.TCG,)
        case "kvm" if not usable:
            raise ToipLabError(
                f"KVM cannot be used: {device} is absent or not writable by this user",
                hint="join the group kvm, or leave the accelerator to auto",
            )
        case "kvm":
            return (Accelerator.KVM,)
        case _ if usable and not memory.fails():
            return (Accelerator.KVM, Accelerator.TCG)
        case _:
            return (Accelerator.TCG,)


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()
