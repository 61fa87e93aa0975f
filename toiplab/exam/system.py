"""The machine as a whole, and rows I4 and I7: what boots, and that all of it runs."""

from __future__ import annotations

import base64
import re

from toiplab.exam import readings
from toiplab.exam.packages import installed, newest
from toiplab.exam.registry import Fact, agree, check, few
from toiplab.exam.subject import Subject
from toiplab.hardware import Hardware, InternalAdapter

SETTLED = "timeout 100 systemctl is-system-running --wait"
# No service waits for the NAT's address, which is there when the hypervisor gives one.
ADDRESSED = "timeout 60 sh -c 'until ip -4 -o addr show dev {} | grep -q inet; do sleep 0.2; done'"
# A timer's, such as the one for the time from the Internet, may run just now: it ends.
JOBS = (
    "for _ in $(seq 100); do jobs=$(systemctl list-jobs --no-legend --plain); "
    'if [ -n "$jobs" ]; then sleep 0.3; else break; fi; done; echo "$jobs"'
)
MBR_SIGNATURE = b"\x55\xaa"
GRUB_TEXT = b"GRUB \0Geom\0Hard Disk\0Read\0 Error"  # what GRUB's boot.img can say


def settle(subject: Subject) -> None:
    """Wait, for a while, until a boot is over and the NAT has given its address.

    Raises:
        GuestError: the machine does not answer.
    """
    subject.ask(SETTLED)
    subject.ask(ADDRESSED.format(subject.lab.nat_interface))


@check("V1", "the OVF describes the lab's machine, its adapters and forwards")
def described(subject: Subject) -> str:
    """What a hypervisor is asked to give (rows V4 and V5 too), before anything runs on it."""
    wanted, given = subject.lab.hardware, subject.hardware
    agree(
        Fact("name", wanted.name, given.name),
        Fact("memory in MiB", wanted.memory, given.memory),
        Fact("processors", wanted.cpus, given.cpus),
        Fact("forwards missing", [], few(sorted(_forwards(wanted) - _forwards(given)))),
        Fact("forwards too many", [], few(sorted(_forwards(given) - _forwards(wanted)))),
        Fact("internal networks", _networks(wanted), _networks(given)),
        Fact("adapters", len(wanted.adapters), len(given.adapters)),
    )
    return f"{given.name}, {given.memory} MiB, {len(given.forwards)} forwards"


@check("V2", "the OVF has the hard disk booted first, then the DVD")
def boot_order(subject: Subject) -> str:
    """As VirtualBox will have it."""
    wanted, given = subject.lab.hardware.boot_order, subject.hardware.boot_order
    agree(Fact("boot order", wanted, given))
    return ", ".join(given)


@check("V3", "the OVF has an empty DVD drive on the IDE controller")
def dvd_drive(subject: Subject) -> str:
    """One drive, and no disc that is not in the OVA."""
    wanted, given = subject.lab.hardware.empty_drives, subject.hardware.empty_drives
    agree(Fact("empty DVD drives", wanted, given))
    return f"an empty drive on {' '.join(given)}"


def _forwards(hardware: Hardware) -> set[str]:
    return {
        f"{f.name}:{f.protocol}:{f.host_address}:{f.host_port}:{f.guest_port}"
        for f in hardware.forwards
    }


def _networks(hardware: Hardware) -> list[str]:
    return [
        adapter.network for adapter in hardware.adapters if isinstance(adapter, InternalAdapter)
    ]


@check("whole", "everything that starts has started, nothing has failed")
def running(subject: Subject) -> str:
    """Wait for the boot to settle; systemctl(1), is-system-running."""
    state, failed, jobs = subject.ask(
        SETTLED,
        "systemctl --failed --no-legend --plain",
        JOBS,
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


@check("I4", "GRUB in the MBR boots the newest kernel, the only one")
def kernel(subject: Subject) -> str:
    """The boot record, the kernel that runs, and those that are installed."""
    name, build, command_line, record = subject.ask(
        "uname -r", "uname -v", "cat /proc/cmdline", "head -c 512 /dev/sda | base64 -w 0"
    )
    name = name.strip()
    mbr = _decoded(record)
    version = newest(subject).get(f"linux-image-{name}")
    kernels = [other for other in installed(subject) if re.match(r"linux-image-\d", other)]
    agree(
        Fact("start of uname -r", subject.release.kernel, name[: len(subject.release.kernel)]),
        Fact("installed kernels", [f"linux-image-{name}"], kernels),
        Fact("the newest version runs", True, version in build.split()),
        Fact("GRUB's kernel on the command line", True, "BOOT_IMAGE=" in command_line),
        Fact("root file system on the command line", True, " root=" in command_line),
        Fact("no_timer_check on the command line", True, "no_timer_check" in command_line.split()),
        Fact("GRUB's code in the MBR", True, GRUB_TEXT in mbr),
        Fact("signature of the MBR", MBR_SIGNATURE.hex(), mbr[510:].hex()),
    )
    return f"{name}, {build.strip()}, by GRUB in the MBR"


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


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=False)
    except ValueError:
        return b""


CHECKS = (described, boot_order, dvd_drive, running, identity, kernel, asterisk_service)
