"""What must be known of a machine to read a benchmark that was run on it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from toiplab import doctor

PROGRAMS = ("mmdebstrap", "mke2fs", "qemu-img", "qemu-system-x86_64")


def facts(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[tuple[str, str], ...]:
    """Names and values: the processor (proc_cpuinfo(5)), the system, the versions of tools."""
    model = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    versions = doctor.versions(PROGRAMS)
    return (
        ("processor", f"{os.cpu_count()} × {model[1].strip() if model else platform.machine()}"),
        ("system", doctor.system_name()),
        ("Linux", platform.release()),
        ("Python", platform.python_version()),
        *((program, versions[program] or "missing") for program in PROGRAMS),
    )
