"""``invoke compare A.ova B.ova``: how two appliances differ, each asked while it runs.

Compared are the packages, the files of /etc, the units that are enabled, the accounts, and
the open ports. What each machine makes for itself at its first boot is left out, and so are
numbers drawn by lot: those of system accounts, which packages take in the order they come
(Debian policy, 9.2.2), and those of ports that the kernel chooses (ip(7), ip_local_port_range).
"""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from toiplab.errors import ToipLabError
from toiplab.exam.candidate import read_candidate
from toiplab.machine.accelerator import Choice
from toiplab.machine.machine import Machine
from toiplab.machine.waiting import GuestError
from toiplab.progress import Progress

ASKED_SECONDS = 300
ABSENT = "none"

# What makes a machine itself, or is renewed at every boot.
OWN = (
    "/etc/machine-id",
    "/etc/ssh/ssh_host_*",
    "/etc/resolv.conf",
    "/etc/adjtime",
    "/etc/.pwd.lock",
)

# One line for each thing: its name, a tab, what is compared. Days of password changes are not.
QUESTIONS: Mapping[str, str] = {
    "package": r"dpkg-query -W -f '${Package}\t${Version} ${db:Status-Abbrev}\n'",
    "file": (
        "cd / && find /etc -xdev \\( -type f -o -type l \\) "
        + " ".join(f"! -path '{place}'" for place in OWN)
        + r" ! -name '*shadow*' ! -name 'passwd*' ! -name 'group*' ! -name 'subuid*' "
        r"! -name 'subgid*' -printf '%p\t%M %u:%g %l' "
        r"\( -type f -exec sh -c 'sha256sum <$1 | cut -c1-16' - {} \; -o -printf '\n' \)"
    ),
    "unit": "systemctl list-unit-files --no-legend --no-pager | awk '{print $1 \"\\t\" $2}'",
    "account": (
        "while IFS=: read -r name _ uid gid gecos home shell; do "
        'group=$gid; if [ "$uid" -ge 100 ] && [ "$uid" -lt 1000 ]; then '
        'uid=system group=$(getent group "$gid" | cut -d: -f1); fi; '
        'printf \'%s\\t%s\\n\' "$name" "$uid $group $gecos $home $shell '
        '$(id -nG "$name" | tr " " "\\n" | sort | tr "\\n" " ")'
        '$(passwd -S "$name" | cut -d\' \' -f2)"; done </etc/passwd'
    ),
    "group": ('awk -F: \'{print $1 "\\t" ($3 >= 100 && $3 < 1000 ? "system" : $3)}\' /etc/group'),
    "port": (
        "read -r chosen _ </proc/sys/net/ipv4/ip_local_port_range; ss -Hlntu | "
        'awk -v chosen="$chosen" \'{n = $5; sub(/.*:/, "", n); at = $5; '
        'if (n + 0 >= chosen + 0) sub(/:[0-9]+$/, ":chosen", at); '
        'print $1 " " at "\\tlistens"}\' | sort -u'
    ),
}


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that differs; what the one has and the other lacks is ``none`` there."""

    kind: str
    name: str
    first: str
    second: str


Snapshot = Mapping[str, Mapping[str, str]]  # kind -> name -> what is compared


def compare(
    first: Path,
    second: Path,
    *,
    logs: Path,
    lab_file: Path | None = None,
    accelerator: Choice = "auto",
    progress: Progress,
) -> tuple[Difference, ...]:
    """Boot both OVAs, one after the other, and tell how they differ.

    Raises:
        ToipLabError: one of them cannot be read, does not come up, or does not answer.
    """
    snapshots = []
    for number, ova in enumerate((first, second), start=1):
        with progress.step(f"Look at {ova.name} ({number} of 2)"):
            snapshots.append(
                take(ova, logs / str(number), lab_file, accelerator=accelerator, progress=progress)
            )
    return differences(*snapshots)


def take(
    ova: Path, logs: Path, lab_file: Path | None, *, accelerator: Choice, progress: Progress
) -> Snapshot:
    """Boot an OVA and ask it all the questions.

    Raises:
        ToipLabError: it cannot be read, does not come up, or does not answer.
    """
    candidate = read_candidate(ova, lab_file)
    candidate.verify()
    logs.mkdir(parents=True, exist_ok=True)
    try:
        with candidate.machine(logs, accelerator=accelerator, progress=progress) as machine:
            machine.boot()
            return ask(machine)
    except GuestError as error:
        raise ToipLabError(f"{ova}: {error}", hint=f"its console: {logs}") from error


def ask(machine: Machine) -> Snapshot:
    """Ask a running machine all the questions.

    Raises:
        GuestError: it does not answer.
    """
    mark = f"compare-{random.token_hex(4)}"
    script = "\n".join(f"echo {mark}; {question}" for question in QUESTIONS.values())
    _, *parts = machine.succeed(script, timeout=ASKED_SECONDS).split(f"{mark}\n")
    return {kind: _read(part) for kind, part in zip(QUESTIONS, parts, strict=True)}


def differences(first: Snapshot, second: Snapshot) -> tuple[Difference, ...]:
    """All that differs between two snapshots, in a fixed order."""
    return tuple(
        Difference(kind, name, one.get(name, ABSENT), other.get(name, ABSENT))
        for kind in QUESTIONS
        for one, other in [(first.get(kind, {}), second.get(kind, {}))]
        for name in sorted(one.keys() | other.keys())
        if one.get(name, ABSENT) != other.get(name, ABSENT)
    )


def show(found: Sequence[Difference], first: Path, second: Path, console: Console) -> None:
    """Print the differences, one a line."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    table.add_row("", "", Text(first.name, style="bold"), Text(second.name, style="bold"))
    for each in found:
        table.add_row(each.kind, Text(each.name), Text(each.first), Text(each.second))
    console.print(table if found else "no difference")


def _read(part: str) -> dict[str, str]:
    rows = (line.partition("\t") for line in part.splitlines() if "\t" in line)
    return {name: " ".join(value.split()) for name, _, value in rows}
