"""OpenSSH's own client, typed at by a program: who is let in, and what a command then prints.

Nothing of the host's own ssh takes part: no configuration, agent, known host or key
(ssh_config(5) has the options). A password is typed at the prompt, as a person does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import pexpect

from toiplab import host
from toiplab.machine.shell import Account
from toiplab.machine.waiting import DeadlineError, GuestError

CONNECT_SECONDS = 15  # up to the server's identification, RFC 4253, section 4.2
LOGIN_SECONDS = 60
ALIVE_SECONDS, ALIVE_TIMES = 10, 3  # a server that is silent this often is gone

LOST = 255  # ssh's exit status where there was no command's, ssh(1)

LET_IN = "lab-let-in"
PROMPT = r"(?i)(password|mot de passe)[^\n]{0,20}:"  # ssh's, PAM's and sudo's
REFUSED = re.compile(r"Permission denied \(.*\)")  # with the ways that are left, RFC 4252


class NoAnswerError(GuestError):
    """There is no ssh server, or it neither lets in nor refuses."""


@dataclass(frozen=True)
class Server:
    """An ssh server; the file ``known_hosts`` learns its key at the first contact."""

    address: str
    port: int
    known_hosts: Path

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """How a login ended: what the command printed, or in which words it was refused."""

    let_in: bool
    said: str

    def __str__(self) -> str:
        return f"let in ({self.said})" if self.let_in else "refused"


class Sign(Enum):
    """What ssh shows of a login, in the order in which it is looked for."""

    PROMPT = auto()
    LET_IN = auto()
    END = auto()


class Login:
    """A login that is under way, with the account's password, or with a key if one is given.

    The password is typed at every prompt that comes, sudo's included. ``terminal`` gives
    the command a terminal on the server.

    Raises:
        ToipLabError: there is no ssh on this machine.
    """

    def __init__(
        self,
        server: Server,
        account: Account,
        command: str,
        *,
        key: Path | None = None,
        terminal: bool = False,
    ) -> None:
        host.require("ssh")
        self._server = server
        self._account = account
        self._shown = Sign.PROMPT
        self._let_in = False
        self._client: pexpect.spawn[str] = pexpect.spawn(
            str(host.which("ssh")),
            [*options(server, account.user, key, terminal=terminal), server.address, command],
            encoding="utf-8",
            codec_errors="replace",
            timeout=LOGIN_SECONDS,
            # SHELL runs LocalCommand; an ASKPASS would take the prompts away
            env={**os.environ, "LC_ALL": "C", "SHELL": "/bin/sh", "SSH_ASKPASS_REQUIRE": "never"},
        )
        self._client.delaybeforesend = None  # ssh asks once it has turned the echo off

    @property
    def terminal(self) -> int:
        """The descriptor behind which ssh runs."""
        return self._client.child_fd

    def offer(self) -> None:
        """Wait for the first prompt and answer it, if one comes.

        Raises:
            DeadlineError: ssh does not show anything in time.
        """
        self._next()

    def outcome(self) -> Answer:
        """Wait for the end, of the login or of the command.

        Raises:
            NoAnswerError: no server let in or refused.
            DeadlineError: there is no end in time.
        """
        while self._next() is not Sign.END:
            pass
        said = " ".join((self._client.before or "").split())
        lost = self._client.wait() == LOST
        if not self._let_in and not REFUSED.search(said):
            raise NoAnswerError(f"{self._server}: no answer to a login: {said or 'ssh ended'}")
        # A key that lacks the command= which sshd demands is taken, and then thrown out.
        return Answer(self._let_in and not lost, said)

    def wait_until_let_in(self) -> None:
        """Wait until the server has let the account in; the command may then be running.

        Raises:
            GuestError: it did not; NoAnswerError if there is no server.
            DeadlineError: nothing was decided in time.
        """
        while self._next() is not Sign.LET_IN:
            if self._shown is Sign.END:
                answer = self.outcome()
                raise GuestError(
                    f"{self._server}: does not let {self._account.user} in: {answer.said}",
                    hint="the lab file and its secrets must be those the machine was built from",
                )

    def close(self) -> None:
        """End ssh, if it has not ended."""
        self._client.close(force=True)

    def _next(self) -> Sign:
        if self._shown is Sign.END:
            return Sign.END
        try:
            index = self._client.expect([PROMPT, rf"{LET_IN}\r?\n", pexpect.EOF])
        except pexpect.TIMEOUT:
            raise DeadlineError(
                f"{self._server}: a login of {self._account.user} has not ended within"
                f" {LOGIN_SECONDS} s"
            ) from None
        self._shown = list(Sign)[index]
        if self._shown is Sign.PROMPT:
            self._client.sendline(self._account.password)
        elif self._shown is Sign.LET_IN:
            self._let_in = True
        return self._shown


def outcomes(logins: Sequence[Login]) -> tuple[Answer, ...]:
    """How the logins end, which go on side by side.

    Raises:
        NoAnswerError: no server let in or refused.
        DeadlineError: there is no end in time.
    """
    with ExitStack() as stack:
        for login in logins:
            stack.callback(login.close)
        for login in logins:
            login.offer()
        return tuple(login.outcome() for login in logins)


def options(server: Server, user: str, key: Path | None, *, terminal: bool) -> Iterator[str]:
    """The options of ssh(1) for one login: only what is meant is tried, and is tried once."""
    yield from ("-F", "/dev/null", "-tt" if terminal else "-T")
    yield from ("-p", str(server.port), "-l", user)
    settings = {
        "UserKnownHostsFile": f'"{server.known_hosts}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "accept-new",
        "IdentityAgent": "none",
        "IdentitiesOnly": "yes",
        "EscapeChar": "none",  # else a script's line ``~.`` would end the session
        "LogLevel": "ERROR",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": str(ALIVE_SECONDS),
        "ServerAliveCountMax": str(ALIVE_TIMES),
        "PermitLocalCommand": "yes",
        "LocalCommand": f"echo {LET_IN}",
    }
    if key:
        settings |= {
            "IdentityFile": f'"{key}"',
            "BatchMode": "yes",
            "PreferredAuthentications": "publickey",
        }
    else:
        settings |= {
            "NumberOfPasswordPrompts": "1",
            "PubkeyAuthentication": "no",
            "PreferredAuthentications": "password,keyboard-interactive",
        }
    for name, value in settings.items():
        yield from ("-o", f"{name}={value}")
