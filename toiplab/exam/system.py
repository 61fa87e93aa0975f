"""The machine as a whole, and rows I2 to I8: what is installed, and how."""

from __future__ import annotations

import base64
import re
from pathlib import PurePosixPath

from toiplab import render
from toiplab.exam import readings
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.render import Inputs, Rendered

SETTLE_SECONDS = 100
MBR_SIGNATURE = b"\x55\xaa"
GRUB_TEXT = b"GRUB \0Geom\0Hard Disk\0Read\0 Error"  # what GRUB's boot.img can say
SHOWN = 5
SOURCES = "cat /etc/apt/sources.list $(find /etc/apt/sources.list.d -name '*.list')"

ASTERISK = PurePosixPath("/etc/asterisk")
SAVED = PurePosixPath("/usr/save")
SAVED_FROM = "/etc/(asterisk|default|dhcp|ssh|network)/"
SAVED_FILES = tuple(
    map(
        PurePosixPath,
        (
            "/etc/default/isc-dhcp-server",
            "/etc/dhcp/dhcpd.conf",
            "/etc/ssh/sshd_config",
            "/etc/network/interfaces",
        ),
    )
)


@check("whole", "everything that starts has started, nothing has failed")
def running(subject: Subject) -> str:
    """Wait for the boot to settle; systemctl(1), is-system-running."""
    state, failed, jobs = subject.ask(
        f"timeout {SETTLE_SECONDS} systemctl is-system-running --wait",
        "systemctl --failed --no-legend --plain",
        "systemctl list-jobs --no-legend --plain",
    )
    units = [line.split()[0] for line in failed.splitlines() if line.strip()]
    waiting = [line.split()[1] for line in jobs.splitlines() if re.match(r"\s*\d+ ", line)]
    agree(
        Fact("failed units", [], units),
        Fact("units still starting", [], waiting),
        Fact("state of the system", "running", readings.last_line(state)),
    )
    return "running, no failed unit"


@check("whole", "name, login prompt, time zone and language are the lab's")
def identity(subject: Subject) -> str:
    """What a class sees first."""
    lab = subject.lab
    hostname, issue, zone, locale = subject.ask(
        "hostname",
        "cat /etc/issue",
        "realpath --relative-to=/usr/share/zoneinfo /etc/localtime",
        "cat /etc/default/locale; locale -a",
    )
    known = {name.lower().replace("-", "") for name in locale.split()}
    agree(
        Fact("host name", lab.hostname, hostname.strip()),
        Fact(f"{lab.title!r} in /etc/issue", True, lab.title in issue),
        Fact(f"{subject.release.title!r} in /etc/issue", True, subject.release.title in issue),
        Fact("time zone", lab.timezone, zone.strip()),
        Fact("LANG", lab.locale, readings.assignments(locale).get("LANG")),
        Fact(f"locale {lab.locale} made", True, lab.locale.lower().replace("-", "") in known),
    )
    return f"{lab.hostname}, {subject.release.title}, {lab.timezone}, {lab.locale}"


@check("I2", "the popularity contest is answered no")
def popularity_contest(subject: Subject) -> str:
    """popularity-contest(8) takes part only if its file says so."""
    answer = readings.assignments(subject.ask_one("cat /etc/popularity-contest.conf"))
    agree(Fact("PARTICIPATE", "no", answer.get("PARTICIPATE")))
    return 'PARTICIPATE="no"'


@check("I3", "the software selection is the lab's tasks")
def tasks(subject: Subject) -> str:
    """A task is its ``task-`` package, but for standard: that is a priority."""
    installed = _installed(subject)
    standard = [package for package in installed.values() if package.priority == "standard"]
    wanted = [name for name in _rendered(subject).packages if name.startswith("task-")]
    agree(
        Fact("task packages missing", [], [name for name in wanted if name not in installed]),
        Fact("standard utilities missing", False, "standard" in subject.lab.tasks and not standard),
    )
    seen = [f"{len(standard)} standard packages"] if standard else []
    return ", ".join(seen + wanted) or "no task"


@check("I4", "GRUB in the MBR boots the newest kernel, the only one")
def kernel(subject: Subject) -> str:
    """The boot record, the kernel that runs, and those that are installed."""
    name, build, command_line, record = subject.ask(
        "uname -r", "uname -v", "cat /proc/cmdline", "head -c 512 /dev/sda | base64 -w 0"
    )
    name = name.strip()
    mbr = _decoded(record)
    known = {package.name: package for package in subject.manifest.packages}
    package = known.get(f"linux-image-{name}")
    newest = package is not None and package.candidate in build.split()
    kernels = [other for other in _installed(subject) if re.match(r"linux-image-\d", other)]
    agree(
        Fact("start of uname -r", subject.release.kernel, name[: len(subject.release.kernel)]),
        Fact("installed kernels", [f"linux-image-{name}"], kernels),
        Fact("the newest version runs", True, newest),
        Fact("GRUB's kernel on the command line", True, "BOOT_IMAGE=" in command_line),
        Fact("root file system on the command line", True, " root=" in command_line),
        Fact("GRUB's code in the MBR", True, GRUB_TEXT in mbr),
        Fact("signature of the MBR", MBR_SIGNATURE.hex(), mbr[510:].hex()),
    )
    return f"{name}, {build.strip()}, by GRUB in the MBR"


@check("I5", "release, updates and security; nothing older than its candidate")
def up_to_date(subject: Subject) -> str:
    """Every package against the manifest, which knows the newest version of each."""
    sources, audit = subject.ask(SOURCES, "dpkg --audit")
    suites = set(re.findall(r"^deb (?:\[.*?\] )?\S+ (\S+)", sources, re.MULTILINE))
    release = {suite.name for suite in subject.release.suites}
    installed = {package.name: package.version for package in _installed(subject).values()}
    built = {package.name: package.version for package in subject.manifest.packages}
    substitutes = {name for sub in subject.manifest.substitutions for name in sub.binaries}
    newest = {
        package.name: package.candidate
        for package in subject.manifest.packages
        if package.name not in substitutes
    }
    old = [
        f"{name} {version} (candidate {newest[name]})"
        for name, version in installed.items()
        if version != newest.get(name, version)
    ]
    foreign = set(built.items()) ^ set(installed.items())
    agree(
        Fact("suites in sources.list", release, suites),
        Fact("packages older than their candidate", [], _few(old)),
        Fact(
            "packages that differ from the manifest",
            [],
            _few(sorted({name for name, _ in foreign} - {entry.split()[0] for entry in old})),
        ),
        Fact("dpkg --audit", "", audit.strip()),
    )
    told = [
        f"{sub.source} {sub.taken_version} in place of {sub.missing_version}"
        for sub in subject.manifest.substitutions
    ]
    current = len(installed.keys() & newest.keys())
    return "; ".join([f"{current} of {len(installed)} packages are their candidate", *told])


@check("I6", "every package of the list is installed")
def installed_packages(subject: Subject) -> str:
    """The list is preseed/packages.list, as every builder installs it."""
    wanted = _rendered(subject).packages
    installed = _installed(subject)
    agree(Fact("packages missing", [], [name for name in wanted if name not in installed]))
    version = installed["asterisk"].version
    upstream = version.partition(":")[2].partition("~")[0]
    agree(Fact("Asterisk", subject.release.asterisk, upstream))
    return f"{len(wanted)} packages, asterisk {version}"


@check("I7", "asterisk is active, enabled, and has not restarted")
def asterisk_service(subject: Subject) -> str:
    """Waits until Asterisk itself says that it has booted."""
    enabled, active, restarts, booted = subject.ask(
        "systemctl is-enabled asterisk",
        "systemctl is-active asterisk",
        "systemctl show --property=NRestarts --value asterisk",
        "timeout 60 asterisk -rx 'core waitfullybooted'",
    )
    agree(
        Fact("asterisk.service", "active", readings.last_line(active)),
        Fact("at boot", "enabled", readings.last_line(enabled)),
        Fact("restarts", "0", restarts.strip()),
        Fact("fully booted", True, "fully booted" in booted),
    )
    return "active, enabled, fully booted"


@check("I8", "/usr/save holds every edited file as its package had it")
def saved_files(subject: Subject) -> str:
    """Each saved file against dpkg's and ucf's checksums, and against the edited file."""
    originals, ucf, saved_sums, edited_sums = subject.ask(
        f"dpkg-query -W -f '${{Conffiles}}\\n' | grep -E ' {SAVED_FROM}'",
        "cat /var/lib/ucf/hashfile",
        f"find {SAVED} -type f -exec md5sum {{}} +",
        f"md5sum {' '.join(map(str, SAVED_FILES))} {ASTERISK}/*",
    )
    pristine = readings.checksums(ucf) | readings.conffiles(originals)
    saved, edited = readings.checksums(saved_sums), readings.checksums(edited_sums)
    laid = {place for place, _ in _rendered(subject).overlay if place.parent == ASTERISK}
    shipped = {PurePosixPath(p) for p in pristine if PurePosixPath(p).parent == ASTERISK}
    places = sorted(laid | shipped | set(SAVED_FILES))
    missing = [str(place) for place in places if str(_saved(place)) not in saved]
    changed = [
        str(place)
        for place in places
        if saved.get(str(_saved(place))) not in (pristine.get(str(place)), None)
        and str(place) in pristine
    ]
    same = [
        str(place)
        for place in sorted(laid | set(SAVED_FILES))
        if str(place) in edited and saved.get(str(_saved(place))) == edited[str(place)]
    ]
    agree(
        Fact("files not saved", [], _few(missing)),
        Fact("saved, but not as their package has them", [], _few(changed)),
        Fact("saved after they were edited", [], _few(same)),
    )
    known = sum(str(place) in pristine for place in places)
    return f"{len(places)} files, {known} with the checksum of their package"


def _saved(place: PurePosixPath) -> PurePosixPath:
    """Where the pristine version of a file is kept."""
    return SAVED / (place.relative_to("/etc") if place.parent == ASTERISK else place.name)


def _installed(subject: Subject) -> dict[str, readings.Package]:
    listed = readings.packages(subject.ask_one(readings.PACKAGES_COMMAND))
    if not listed:
        raise CheckFailedError("dpkg-query lists no package")
    return {package.name: package for package in listed if package.status == readings.INSTALLED}


def _rendered(subject: Subject) -> Rendered:
    """What every builder was handed; the password's hash and the mirrors do not matter here."""
    return render.render(Inputs(subject.lab, subject.secrets, subject.release, "", ()))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=False)
    except ValueError:
        return b""


def _few(names: list[str]) -> list[str]:
    """The first of them, and how many more there are."""
    return names if len(names) <= SHOWN else [*names[:SHOWN], f"and {len(names) - SHOWN} more"]


CHECKS = (
    running,
    identity,
    popularity_contest,
    tasks,
    kernel,
    up_to_date,
    installed_packages,
    asterisk_service,
    saved_files,
)
