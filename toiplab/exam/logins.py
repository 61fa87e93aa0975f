"""Row H1 from outside: who gets in by ssh, with a password, with a key, and with sudo."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from toiplab import host
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.lab.model import Ssh
from toiplab.machine.ports import reached_at
from toiplab.machine.shell import Account
from toiplab.machine.ssh import Answer, Login, Server, outcomes
from toiplab.machine.waiting import GuestError

ROOT = "root"
WHO = "id -un"
SUDO_WHO = f"sudo -k -p lab-password: {WHO}"
REFUSED = str(Answer(let_in=False, said=""))
KEPT = "before-exam"


@dataclass(frozen=True)
class RootAccess:
    """Which ways of logging in are open to root."""

    by_password: bool
    by_key: bool

    @classmethod
    def of(cls, ssh: Ssh) -> RootAccess:
        """What PermitRootLogin and PasswordAuthentication mean, sshd_config(5).

        A key without ``command=`` is none of the forced commands.
        """
        return cls(
            by_password=ssh.root_login == "yes" and ssh.password_authentication,
            by_key=ssh.root_login in ("yes", "prohibit-password"),
        )


@dataclass(frozen=True)
class Trial:
    """A login that is tried, and how it is expected to end."""

    what: str
    expected: str
    login: Login


@check("H1", "ssh lets in the administrator, who has sudo, and root, as the lab says")
def logins(subject: Subject) -> str:
    """Every login is tried at once: each has to wait for the machine's processor.

    Raises:
        ToipLabError: ssh or ssh-keygen is missing.
    """
    host.require("ssh", "ssh-keygen")
    forward, ssh = subject.forward("ssh"), subject.lab.ssh
    admin = Account(subject.lab.administrator.login, subject.secrets.administrator)
    root = RootAccess.of(ssh)
    with (
        TemporaryDirectory(prefix="toip-lab-ssh-") as folder,
        lent_key(subject, (admin.user, ROOT), Path(folder)) as key,
    ):
        server = Server(str(reached_at(forward)), forward.host_port, Path(folder) / "known_hosts")
        trials = (
            Trial(
                f"{admin.user} with the password",
                _expected(admin.user, open_to=ssh.password_authentication),
                Login(server, admin, WHO),
            ),
            Trial(
                f"{admin.user} with a wrong password",
                REFUSED,
                Login(server, Account(admin.user, f"{admin.password}x"), WHO),
            ),
            Trial(
                f"{admin.user} with a key, then sudo",
                _expected(ROOT, open_to=True),
                Login(server, admin, SUDO_WHO, key=key, terminal=True),
            ),
            Trial(
                f"root with {admin.user}'s password",
                _expected(ROOT, open_to=root.by_password),
                Login(server, Account(ROOT, admin.password), WHO),
            ),
            Trial(
                "root with a key",
                _expected(ROOT, open_to=root.by_key),
                Login(server, Account(ROOT, ""), WHO, key=key),
            ),
        )
        try:
            answers = outcomes([trial.login for trial in trials])
        except GuestError as error:
            raise CheckFailedError(str(error)) from error
    facts = [
        Fact(trial.what, trial.expected, str(answer))
        for trial, answer in zip(trials, answers, strict=True)
    ]
    agree(*facts)
    return "; ".join(f"{fact.what}: {fact.seen}" for fact in facts)


def _expected(user: str, *, open_to: bool) -> str:
    return str(Answer(let_in=True, said=user)) if open_to else REFUSED


@dataclass(frozen=True)
class KeyHolder:
    """An account's ``authorized_keys``, and what there was of it before it held our key."""

    user: str
    folder: str
    had_folder: bool
    had_file: bool

    @property
    def add(self) -> str:
        """Takes the key as its input; what sshd's StrictModes demands is given or left alone."""
        own = f"-o {self.user} -g $(id -gn {self.user})"
        file = f"{self.folder}/authorized_keys"
        if self.had_file:
            return f"cp -a {file} {file}.{KEPT} && {{ echo; cat; }} >>{file}"
        make = f"install -m 0600 {own} /dev/stdin {file}"
        return make if self.had_folder else f"install -d -m 0700 {own} {self.folder} && {make}"

    @property
    def take_away(self) -> str:
        """Leaves all as it was, also where ``add`` came only half way."""
        file = f"{self.folder}/authorized_keys"
        if self.had_file:
            return f"if [ -e {file}.{KEPT} ]; then mv -f {file}.{KEPT} {file}; fi"
        return f"rm -f {file}" if self.had_folder else f"rm -rf {self.folder}"


@contextmanager
def lent_key(subject: Subject, users: Sequence[str], folder: Path) -> Iterator[Path]:
    """A key made for this one time, that the accounts take while the block lasts.

    Raises:
        GuestError: the machine has no such account, or cannot keep the key.
    """
    key = folder / "id_ed25519"
    host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "toip-lab-exam", "-f", key])
    public = key.with_suffix(".pub").read_text(encoding="ascii").strip()
    holders = _holders(subject, users)
    try:
        lent = "; ".join(f"echo {shlex.quote(public)} | {{ {holder.add}; }}" for holder in holders)
        _do(subject, f"set -e -o pipefail; {lent}")
        yield key
    finally:
        taken = "".join(f"{{ {holder.take_away}; }} || failed=1; " for holder in holders)
        _do(subject, f"{taken}exit ${{failed:-0}}")


def _holders(subject: Subject, users: Sequence[str]) -> list[KeyHolder]:
    found = _do(
        subject,
        f"for user in {' '.join(users)}; do folder=$(getent passwd $user | cut -d: -f6)/.ssh; "
        'test -d "$folder"; status=$?; test -e "$folder/authorized_keys"; '
        'echo "$status $? $folder"; done',
    )
    lines = [line.split(" ", 2) for line in found.splitlines()]
    return [
        KeyHolder(user, shlex.quote(folder), folder_status == "0", file_status == "0")
        for user, (folder_status, file_status, folder) in zip(users, lines, strict=True)
    ]


def _do(subject: Subject, command: str) -> str:
    done = subject.act(command)
    if done.status != 0:
        raise GuestError(f"in the guest, this ended with status {done.status}: {command}")
    return done.output


CHECKS = (logins,)
