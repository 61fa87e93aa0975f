"""How to build, where neither the lab file nor the request says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toiplab.builders.packer.boot import Priority
from toiplab.machine.accelerator import Choice
from toiplab.releases import RELEASES, Release


@dataclass(frozen=True)
class BuildOptions:
    """How to build, where the lab file does not say.

    The request's release is looked for in ``releases``, the one to prefer first. ``slow`` is
    for a machine that VirtualBox runs at a fraction of a processor's speed; in QEMU the
    ``accelerator`` tells. ``priority`` is the least important question that the installer
    would ask if the preseed had no answer.
    """

    releases: Sequence[Release] = RELEASES
    accelerator: Choice = "auto"
    slow: bool = False
    priority: Priority = "critical"


DEFAULT = BuildOptions()
