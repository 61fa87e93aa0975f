"""Rows I2, I3, I5, I6 and I8: what is installed, how new it is, and what it was like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from toiplab import render
from toiplab.exam import readings
from toiplab.exam.registry import CheckFailedError, Fact, agree, check, few
from toiplab.exam.subject import Subject
from toiplab.render import Inputs, Rendered

SOURCES = "cat /etc/apt/sources.list $(find /etc/apt/sources.list.d -name '*.list')"
SOURCE_SUITE = re.compile(r"^deb (?:\[.*?\] )?\S+ (\S+)", re.MULTILINE)

ASTERISK = PurePosixPath("/etc/asterisk")
SAVED = PurePosixPath("/usr/save")
OTHER_SAVED_FILES = (
    PurePosixPath("/etc/default/isc-dhcp-server"),
    PurePosixPath("/etc/dhcp/dhcpd.conf"),
    PurePosixPath("/etc/ssh/sshd_config"),
    PurePosixPath("/etc/network/interfaces"),
)
# How a task shows that it is at work. cupsd ends when it has nothing to do: a client wakes it.
AT_WORK = {
    "print-server": ("LC_ALL=C lpstat -r", "scheduler is running"),
    "desktop": ("systemctl is-active display-manager", "active"),
}
CONFFILES = (
    "dpkg-query -W -f '${Conffiles}\\n' | grep -E ' /etc/(asterisk|default|dhcp|ssh|network)/'"
)


@check("I2", "the popularity contest is answered no")
def popularity_contest(subject: Subject) -> str:
    """popularity-contest(8) takes part only if its file says so."""
    answer = readings.assignments(subject.ask_one("cat /etc/popularity-contest.conf"))
    agree(Fact("PARTICIPATE", "no", answer.get("PARTICIPATE")))
    return 'PARTICIPATE="no"'


@check("I3", "the software selection is the lab's tasks")
def tasks(subject: Subject) -> str:
    """A task is its ``task-`` package and what works for it; standard is a priority."""
    there = installed(subject)
    standard = [package for package in there.values() if package.priority == "standard"]
    wanted = [name for name in _rendered(subject).packages if name.startswith("task-")]
    proofs = [AT_WORK[task] for task in subject.lab.tasks if task in AT_WORK]
    answers = subject.ask(*(command for command, _ in proofs))
    agree(
        Fact("task packages missing", [], [name for name in wanted if name not in there]),
        Fact("standard utilities missing", False, "standard" in subject.lab.tasks and not standard),
        *(
            Fact(command, right, readings.last_line(answer))
            for (command, right), answer in zip(proofs, answers, strict=True)
        ),
    )
    seen = [f"{len(standard)} standard packages"] if standard else []
    return ", ".join([*seen, *wanted, *(right for _, right in proofs)]) or "no task"


@check("I5", "release, updates and security; nothing older than its candidate")
def up_to_date(subject: Subject) -> str:
    """Every package against the manifest, which knows the newest version of each.

    A package that was substituted is as old as the manifest says, and is named.
    """
    sources, audit = subject.ask(SOURCES, "dpkg --audit")
    there = {package.name: package.version for package in installed(subject).values()}
    substitutions = subject.manifest.substitutions
    substitutes = _substitutes(subject)
    wanted = newest(subject)
    differing = [
        f"{name} {there.get(name, 'absent')} (expected {wanted.get(name, 'none')})"
        for name in sorted(there.keys() | wanted.keys())
        if there.get(name) != wanted.get(name)
    ]
    agree(
        Fact(
            "suites in sources.list",
            {suite.name for suite in subject.release.suites},
            set(SOURCE_SUITE.findall(sources)),
        ),
        Fact("packages that are not the newest", [], few(differing)),
        Fact("dpkg --audit", "", audit.strip()),
    )
    told = [f"{s.source} {s.taken_version} in place of {s.missing_version}" for s in substitutions]
    current = len(there.keys() - substitutes)
    return "; ".join([f"{current} of {len(there)} packages are the newest", *told])


@check("I6", "every package of the list is installed")
def installed_packages(subject: Subject) -> str:
    """The list is preseed/packages.list, as every builder installs it."""
    wanted = _rendered(subject).packages
    there = installed(subject)
    agree(Fact("packages missing", [], [name for name in wanted if name not in there]))
    version = there["asterisk"].version
    upstream = version.partition(":")[2].partition("~")[0]
    agree(Fact("Asterisk", subject.release.asterisk, upstream))
    return f"{len(wanted)} packages, asterisk {version}"


@dataclass(frozen=True)
class _SavedFile:
    """A file and its saved version, by their MD5; None where there is none."""

    place: PurePosixPath
    saved: str | None
    edited: str | None
    pristine: str | None


@check("I8", "/usr/save holds every edited file as its package had it")
def saved_files(subject: Subject) -> str:
    """Each saved file against dpkg's and ucf's checksums, and against the edited file."""
    conffiles, ucf, saved_sums, edited_sums = subject.ask(
        CONFFILES,
        "cat /var/lib/ucf/hashfile",
        f"find {SAVED} -type f -exec md5sum {{}} +",
        f"md5sum {' '.join(map(str, OTHER_SAVED_FILES))} {ASTERISK}/*",
    )
    pristine = readings.checksums(ucf) | readings.conffiles(conffiles)
    saved, edited = readings.checksums(saved_sums), readings.checksums(edited_sums)
    laid = {place for place, _ in _rendered(subject).overlay if place.parent == ASTERISK}
    laid |= set(OTHER_SAVED_FILES)
    shipped = {place for place in map(PurePosixPath, pristine) if place.parent == ASTERISK}
    files = [
        _SavedFile(
            place,
            saved.get(str(_saved(place))),
            edited.get(str(place)),
            pristine.get(str(place)),
        )
        for place in sorted(laid | shipped)
    ]
    known = [file for file in files if file.saved and file.pristine]
    agree(
        Fact("files not saved", [], few([f.place for f in files if not f.saved])),
        Fact(
            "saved, but not as their package has them",
            [],
            few([f.place for f in known if f.saved != f.pristine]),
        ),
        Fact(
            "saved after they were edited",
            [],
            few([f.place for f in files if f.place in laid and f.saved and f.saved == f.edited]),
        ),
    )
    return f"{len(files)} files, {len(known)} with the checksum of their package"


def _saved(place: PurePosixPath) -> PurePosixPath:
    """Where the pristine version of a file is kept."""
    return SAVED / (place.relative_to("/etc") if place.parent == ASTERISK else place.name)


def installed(subject: Subject) -> dict[str, readings.Package]:
    """Every package that is installed and configured, by its name.

    Raises:
        CheckFailedError: the machine tells of none.
    """
    listed = readings.packages(subject.ask_one(readings.PACKAGES_COMMAND))
    if not listed:
        raise CheckFailedError("dpkg-query lists no package")
    return {package.name: package for package in listed if package.status == readings.INSTALLED}


def newest(subject: Subject) -> dict[str, str]:
    """The version each package must have: its candidate, or what was taken in its place."""
    substitutes = _substitutes(subject)
    return {
        package.name: package.version if package.name in substitutes else package.candidate
        for package in subject.manifest.packages
    }


def _substitutes(subject: Subject) -> set[str]:
    return {name for taken in subject.manifest.substitutions for name in taken.binaries}


def _rendered(subject: Subject) -> Rendered:
    """What every builder was handed; the password's hash and the mirrors do not matter here."""
    return render.render(Inputs(subject.lab, subject.secrets, subject.release, "", ()))


CHECKS = (popularity_contest, tasks, up_to_date, installed_packages, saved_files)
