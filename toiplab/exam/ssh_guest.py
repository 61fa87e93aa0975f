"""A machine that is already up, examined over ssh: an OVA imported into VirtualBox, say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from toiplab.exam.batch import COMMANDS_SECONDS, answers_of
from toiplab.host import Finished
from toiplab.machine.console import Console
from toiplab.machine.shell import BECOME_ROOT, Account, Shell
from toiplab.machine.ssh import Login, Server
from toiplab.machine.waiting import GuestError, MachineGoneError

GOODBYE_SECONDS = 5.0


@dataclass(frozen=True)
class Session:
    """An ssh session in which the account has become root."""

    login: Login
    console: Console
    shell: Shell

    @classmethod
    def begin(cls, server: Server, account: Account, key: Path | None) -> Session:
        """Log in, then sudo.

        Raises:
            GuestError: there is no answer, or a refusal; the message tells whose.
        """
        # What the server shows before this side listens would be lost: it waits for a line.
        login = Login(server, account, f"read -r go; {BECOME_ROOT}", key=key, terminal=True)
        try:
            login.wait_until_let_in()
            console = Console(login.terminal, login.terminal, None, "ssh session")
            console.type_line("")
            try:
                shell = Shell.behind_sudo(console, account.password)
            except GuestError as error:
                raise GuestError(
                    f"{server}: {account.user} does not become root by sudo: {error.message}"
                ) from error
        except BaseException:
            login.close()
            raise
        return cls(login, console, shell)

    @property
    def ended(self) -> bool:
        """Whether it is seen to have ended; a server that fell silent is only seen later."""
        return self.console.rest(0)

    def end(self) -> None:
        """Log out, leaving no file behind on the server."""
        if not self.ended:
            self.shell.start('rm -f "$lab_output"; exit')
            self.console.rest(GOODBYE_SECONDS)
        self.login.close()


class SshGuest:
    """Runs commands as root over one ssh session, made again where it has ended.

    A restart of sshd leaves a session alone; one of the machine does not. What was under way
    when a session ended is not asked again: it may have been done.
    """

    def __init__(self, server: Server, account: Account, key: Path | None = None) -> None:
        self._server = server
        self._account = account
        self._key = key
        self._session: Session | None = None
        self._turn = threading.Lock()

    @classmethod
    @contextmanager
    def open(
        cls, address: str, port: int, account: Account, *, key: Path | None = None
    ) -> Iterator[SshGuest]:
        """Log in as an account that has sudo; its password is for both, unless a key is given.

        The server's key is taken on trust at the first contact, and must stay the same.

        Raises:
            GuestError: there is no answer, or a refusal; the message tells whose.
        """
        with TemporaryDirectory(prefix="toip-lab-ssh-") as folder:
            guest = cls(Server(address, port, Path(folder) / "known_hosts"), account, key)
            guest.ask("true")
            try:
                yield guest
            finally:
                guest.close()

    def ask(self, *commands: str) -> tuple[Finished, ...]:
        """Run the commands, each in a bash of its own.

        Raises:
            GuestError: the machine does not answer, or answers half.
        """
        with self._turn:
            session = self._living_session()
            try:
                return answers_of(
                    lambda script: session.shell.run(script, timeout=COMMANDS_SECONDS), commands
                )
            except GuestError as error:
                self._drop()
                ended = isinstance(error, MachineGoneError)
                why = (
                    f"the ssh session ended during: {'; '.join(commands)}"
                    if ended
                    else error.message
                )
                raise GuestError(f"{self._server}: {why}") from error

    def close(self) -> None:
        """Log out."""
        with self._turn:
            if self._session is not None:
                self._session.end()
                self._session = None

    def _living_session(self) -> Session:
        if self._session is not None and self._session.ended:
            self._drop()
        if self._session is None:
            self._session = Session.begin(self._server, self._account, self._key)
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.login.close()
            self._session = None
