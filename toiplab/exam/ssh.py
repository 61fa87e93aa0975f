"""Rows H1 and H2: the ssh server, who may use it, and that its keys are its own."""

from __future__ import annotations

import re
import socket

from toiplab.exam import readings
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.subject import Identity, Subject
from toiplab.machine.ports import reached_at

BANNER_SECONDS = 15
BANNER_BYTES = 255  # RFC 4253, section 4.2
# sshd -T tells this one by its old name.
ROOT_LOGIN = {"prohibit-password": "without-password"}
FINGERPRINTS = "cat /etc/ssh/ssh_host_*_key.pub | ssh-keygen -lf -"
FINGERPRINT = re.compile(r"\bSHA256:\S+")
MACHINE_ID = re.compile(r"[0-9a-f]{32}")


@check("H1", "sshd's rules and the administrator are the lab's")
def access(subject: Subject) -> str:
    """What sshd itself reads from its files (sshd -T), the accounts, and sudo."""
    ssh, admin = subject.lab.ssh, subject.lab.administrator
    shown, groups, sudo, root, keys, root_keys = subject.ask(
        "sshd -T",
        f"id -nG {admin.login}",
        f"sudo -l -U {admin.login}",
        "passwd --status root",
        f"cat ~{admin.login}/.ssh/authorized_keys",
        "cat ~root/.ssh/authorized_keys",
    )
    rules = readings.directives(shown)
    all_commands = re.search(r"\(ALL.*\) ALL", sudo) is not None
    usable = "".join(root.split()[1:2])
    locked = "P" if ssh.root_login == "yes" else "L"
    agree(
        Fact("port", (str(ssh.port),), rules.get("port")),
        Fact(
            "permitrootlogin",
            (ROOT_LOGIN.get(ssh.root_login, ssh.root_login),),
            rules.get("permitrootlogin"),
        ),
        Fact(
            "passwordauthentication",
            ("yes" if ssh.password_authentication else "no",),
            rules.get("passwordauthentication"),
        ),
        Fact("permitemptypasswords", ("no",), rules.get("permitemptypasswords")),
        Fact(f"{admin.login} in the group sudo", True, "sudo" in groups.split()),
        Fact(f"sudo lets {admin.login} do all", True, all_commands),
        Fact("root's password (L locked, P usable)", locked, usable),
        Fact(f"{admin.login}'s keys", admin.ssh_keys, _keys(keys)),
        Fact("root's keys", ssh.root_keys, _keys(root_keys)),
    )
    return f"port {ssh.port}, root {ssh.root_login}, {admin.login} has sudo"


@check("H2", "ssh is active and enabled; keys and machine-id made at the first boot")
def own_identity(subject: Subject) -> str:
    """Whatever is newer than the newest file of the image was made on this machine.

    At a later boot they must be those of the first, or students would be warned of an
    impostor each time.
    """
    active, enabled, keys, shown, made = subject.ask(
        "systemctl is-active ssh",
        "systemctl is-enabled ssh",
        "stat -c '%Y %n' /etc/ssh/ssh_host_*_key",
        "sshd -T",
        "stat -c %Y /etc/machine-id",
    )
    now = identity(subject)
    before = subject.known_as or now
    ages = {path: int(when) for when, path in re.findall(r"^(\d+) (/\S+)$", keys, re.MULTILINE)}
    wanted = readings.directives(shown).get("hostkey", ())
    epoch = subject.manifest.epoch
    valid = MACHINE_ID.fullmatch(now.machine_id) is not None
    agree(
        Fact("ssh.service", "active", readings.last_line(active)),
        Fact("at boot", "enabled", readings.last_line(enabled)),
        Fact("host keys sshd wants and lacks", [], [path for path in wanted if path not in ages]),
        Fact("host keys older than the first boot", [], [p for p, t in ages.items() if t <= epoch]),
        Fact("host keys there are", True, bool(ages)),
        Fact("fingerprint for each host key", len(ages), len(now.host_keys)),
        Fact("host keys since the boot before", before.host_keys, now.host_keys),
        Fact("machine-id of 32 hexadecimal digits", True, valid),
        Fact("machine-id made at the first boot", True, _when(made) > epoch),
        Fact("machine-id since the boot before", before.machine_id, now.machine_id),
    )
    return f"active, enabled, {len(ages)} host keys of its own"


def identity(subject: Subject) -> Identity:
    """Who the machine is: its machine-id, and what ssh-keygen(1) says of its host keys."""
    ident, fingerprints = subject.ask("cat /etc/machine-id", FINGERPRINTS)
    return Identity(ident.strip(), frozenset(FINGERPRINT.findall(fingerprints)))


@check("V4", "ssh answers through its forward")
def banner(subject: Subject) -> str:
    """The identification string of RFC 4253, section 4.2, as the host's side sees it."""
    forward = subject.forward("ssh")
    address = str(reached_at(forward))
    place = f"{address}:{forward.host_port}"
    try:
        with socket.create_connection((address, forward.host_port), BANNER_SECONDS) as link:
            line = link.makefile("rb").readline(BANNER_BYTES).decode(errors="replace").strip()
    except OSError as error:
        raise CheckFailedError(f"{place}: expected SSH-2.0-…, saw {error}") from error
    if not line.startswith("SSH-2.0-"):
        raise CheckFailedError(f"{place}: expected SSH-2.0-…, saw {line or 'nothing'}")
    return f"{place} says {line}"


def _when(text: str) -> int:
    """A time in seconds since 1970; 0 when there is none."""
    return int(text) if text.strip().isdecimal() else 0


def _keys(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line.startswith(("ssh-", "ecdsa-")))


CHECKS = (access, own_identity, banner)
