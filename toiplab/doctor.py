"""What this machine can do: its tools, which builders can run, and why the others cannot.

``report`` looks, ``show`` prints. Nothing is changed, and nothing takes longer than a moment.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from toiplab.errors import BAD_INPUT
from toiplab.host import PROJECT, Tool, tools, which

ANSWER_SECONDS = 20
# How a program is asked for its version, where --version does not
ASKED = {
    **dict.fromkeys(("mke2fs", "debugfs", "e2fsck", "sipsak"), "-V"),
    "sipp": "-v",
    "baresip": "-h",
}
COLUMNS_IN_A_PIPE = 100
GIB = 2**30
DISK_NEEDED = 4 * GIB  # a build of a lab with no option; toiplab.builders.space has the rest
MEMORY_NEEDED = 2 * GIB  # the appliance's own, QEMU and the exam

FIRST_SUBID = 100_000  # SUB_UID_MIN of login.defs(5)
SUBIDS = 65_536  # a whole Debian system's users and groups, nobody (65534) included

# What only some builders call; the set-up does not install them.
OPTIONAL = (
    Tool("packer", "packer", "the builders qemu and virtualbox"),
    Tool("VBoxManage", "virtualbox", "the builder virtualbox"),
)


@dataclass(frozen=True)
class ToolFound:
    """A tool and its version; ``version`` is None where the tool is missing."""

    tool: Tool
    version: str | None
    needed: bool = True


@dataclass(frozen=True)
class Finding:
    """One thing found out about this machine; ``mend`` says how a bad one can be made good."""

    subject: str
    detail: str
    good: bool = True
    mend: str = ""


@dataclass(frozen=True)
class Report:
    """All that was found: the tools, one finding for each builder, and the machine itself."""

    system: str
    tools: tuple[ToolFound, ...]
    builders: tuple[Finding, ...]
    machine: tuple[Finding, ...]

    @property
    def missing(self) -> tuple[Tool, ...]:
        """The tools this version needs and this machine lacks."""
        return tuple(row.tool for row in self.tools if row.needed and row.version is None)

    @property
    def status(self) -> int:
        """The exit status of ``invoke doctor``: 0 if some builder can run, else 2."""
        return 0 if any(builder.good for builder in self.builders) else BAD_INPUT


def report(extra: Sequence[Finding] = (), builders: Sequence[Finding] = ()) -> Report:
    """Look at this machine; ``extra`` and ``builders`` are what other modules have found."""
    return Report(
        system=f"{system_name()}, Python {platform.python_version()}",
        tools=(
            *(ToolFound(tool, version(tool)) for tool in tools()),
            *(ToolFound(tool, version(tool), needed=False) for tool in OPTIONAL),
        ),
        builders=(direct_builder(), *builders),
        machine=(accelerator(), disk_space(), memory(), *extra),
    )


def version(tool: Tool) -> str | None:
    """The version a tool tells of itself, or else its package's; None if it is not there."""
    if which(tool.program) is None:
        return None
    if not tool.program.startswith("/"):
        _, said = _ask(tool.program, ASKED.get(tool.program, "--version"))
        if number := re.search(r"\d+(\.\w+)+", said):
            return number[0]
    status, said = _ask("dpkg-query", "--show", "--showformat=${Version}", tool.package)
    if status != 0 or not said:
        return "present"
    return said.split(":")[-1].rsplit("-", 1)[0]  # without epoch and Debian revision


def versions(programs: Collection[str]) -> dict[str, str]:
    """The versions of these programs, asked all at once; empty for one that does not tell."""
    asked = [tool for tool in (*tools(), *OPTIONAL) if tool.program in programs]
    with ThreadPoolExecutor() as pool:
        told = pool.map(version, asked)
        return {tool.program: said or "" for tool, said in zip(asked, told, strict=True)}


def direct_builder() -> Finding:
    """Whether the direct builder can run: its tools, and root or user namespaces (tried out)."""
    needed = ["mmdebstrap", "apt-get", "mount", "mke2fs"]
    needed += [tool.program for tool in tools() if tool.program.startswith("/")]
    root = os.geteuid() == 0
    if not root:
        needed.append("newuidmap")
    if missing := [program for program in needed if which(program) is None]:
        return Finding("direct", f"missing: {', '.join(missing)}", good=False, mend="make setup")
    if root:
        return Finding("direct", "can run, as root")
    status, said = _ask("mmdebstrap", "--unshare-helper", "true")
    if status == 0:
        return Finding("direct", "can run, as an ordinary user (in user namespaces)")
    return namespace_obstacle(os.geteuid(), said)


def namespace_obstacle(uid: int, said: str, root: Path = Path("/")) -> Finding:
    """Why a user cannot have the user namespaces that the direct builder needs, and the mend.

    Args:
        uid: The user who tried.
        said: What mmdebstrap said when it failed.
        root: Where etc and proc are looked for.
    """

    def because(reason: str, mend: str) -> Finding:
        return Finding("direct", reason, good=False, mend=f"{mend}\nor build as root")

    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        return because(f"the user {uid} has no name in /etc/passwd", "build as a user who has one")
    files = (root / "etc/subuid", root / "etc/subgid")
    for file, option in zip(files, ("--add-subuids", "--add-subgids"), strict=True):
        # subuid(5): a line is name:first:count, and a number may stand for the name
        owners = {line.split(":")[0] for line in _read(file).splitlines()}
        if not owners & {user, str(uid)}:
            start = _first_free_subid(_read(other) for other in files)
            return because(
                f"/{file.relative_to(root)} gives no ids to {user}",
                f"sudo usermod {option} {start}-{start + SUBIDS - 1} {user}",
            )
    for setting, forbids, allows in (
        ("kernel.unprivileged_userns_clone", 0, 1),
        ("user.max_user_namespaces", 0, 10_000),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, 0),
    ):
        if _read(root / "proc/sys" / setting.replace(".", "/")).strip() == str(forbids):
            return because(
                f"user namespaces are forbidden to ordinary users ({setting} is {forbids})",
                f"sudo sysctl --write {setting}={allows}",
            )
    errors = re.findall(r"^E: (.+)$", said, re.MULTILINE) or ["it did not say why"]
    return because(
        f"mmdebstrap cannot make a user namespace: {errors[0]}",
        "containers and chroots often forbid them; to see more: mmdebstrap --unshare-helper true",
    )


def accelerator() -> Finding:
    """Whether KVM seems to be there; only booting something shows that it works."""
    kvm = Path("/dev/kvm")
    if not kvm.exists():
        return Finding("accelerator", "none: QEMU works in software, some times slower")
    if not os.access(kvm, os.R_OK | os.W_OK):
        return Finding(
            "accelerator",
            "/dev/kvm may not be used by this user: QEMU works in software, some times slower",
            good=False,
            mend="sudo usermod --append --groups kvm $USER, then log in again",
        )
    return Finding("accelerator", "/dev/kvm is there; whether Linux runs under it, a boot shows")


def disk_space(folder: Path = PROJECT, needed: int = DISK_NEEDED) -> Finding:
    """Whether the project's folder has room for a build; ``needed`` is in bytes."""
    free = shutil.disk_usage(folder).free
    return Finding(
        "disk",
        f"{_gib(free)} free in {folder}; a build takes {_gib(needed)}",
        good=free >= needed,
        mend="" if free >= needed else "make room, or move the project to a larger disk",
    )


def memory(meminfo: Path = Path("/proc/meminfo"), needed: int = MEMORY_NEEDED) -> Finding:
    """Whether there is memory for booting the appliance (proc_meminfo(5)); ``needed`` in bytes."""
    available = re.search(r"^MemAvailable: *(\d+) kB", _read(meminfo), re.MULTILINE)
    if available is None:
        return Finding("memory", f"unknown: {meminfo} does not tell")
    free = int(available[1]) * 1024
    return Finding(
        "memory",
        f"{_gib(free)} available; booting and examining the appliance takes {_gib(needed)}",
        good=free >= needed,
        mend="" if free >= needed else "close other programs before booting the appliance",
    )


def show(found: Report, console: Console | None = None) -> None:
    """Print a report: 100 columns in a pipe, the terminal's own width on a terminal."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console = Console(file=console.file, width=COLUMNS_IN_A_PIPE, highlight=False)
    console.print(Text(found.system))

    console.print("\n[bold]Tools[/]")
    table = _table(4)
    for row in found.tools:
        name = Path(row.tool.program).stem  # a file's whole path would leave no room
        mark = _mark(row.version is not None, needed=row.needed)
        table.add_row(mark, name, row.version or "missing", row.tool.purpose)
    console.print(table)
    if found.missing:
        packages = " ".join(sorted({tool.package for tool in found.missing}))
        console.print(
            f"  To install what is missing: apt-get install {packages}   (or: make setup)",
            markup=False,
            soft_wrap=True,
        )

    for title, findings in (("Builders", found.builders), ("This machine", found.machine)):
        console.print(f"\n[bold]{title}[/]")
        table = _table(3)
        for finding in findings:
            mend = "\n→ " + finding.mend.replace("\n", "\n  ") if finding.mend else ""
            table.add_row(_mark(finding.good), finding.subject, Text(finding.detail + mend))
        console.print(table)


def _table(columns: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in range(columns):
        table.add_column(overflow="fold", no_wrap=column < columns - 1)
    return table


def _mark(good: bool, *, needed: bool = True) -> str:
    if good:
        return "  [green]✓[/]"
    return "  [red]✗[/]" if needed else "  ·"


def _ask(program: str, *arguments: str) -> tuple[int, str]:
    """The exit status of a quick program, and all it said; a status of -1 if it did not run."""
    path = which(program)
    if path is None:
        return -1, f"{program} is missing"
    try:
        done = subprocess.run(
            [str(path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ANSWER_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def _first_free_subid(tables: Iterable[str]) -> int:
    ranges = (re.findall(r":(\d+):(\d+)$", table, re.MULTILINE) for table in tables)
    ends = (int(first) + int(count) for table in ranges for first, count in table)
    return max((FIRST_SUBID, *ends))


def _read(path: Path) -> str:
    """A file's text; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def system_name() -> str:
    """The system as it names itself, such as ``Debian GNU/Linux 12 (bookworm)``."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
