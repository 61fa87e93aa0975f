"""Commands in the guest, typed on its serial console; each comes back whole or not at all.

A serial console is shared with the kernel, with systemd and with the terminal's own echo.
So the guest keeps a command's output in a file and shows it between two lines that carry
a token made for this one command, with its SHA-256: what was disturbed on its way is asked
for again. The terminal is told to pass bytes as they are, the log stays readable.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from toiplab.host import Finished
from toiplab.machine.console import Console
from toiplab.machine.waiting import Deadline, DeadlineError, GuestError

LOGIN_SECONDS = 60
TYPING_SECONDS = 5
SHOW_SECONDS = 20
SHOW_TRIES = 3
CTRL_BACKSLASH = "\x1c"  # SIGQUIT for what runs, termios(3); the shell itself ignores it
QUIT = 128 + 3

LOGIN_PROMPT = r"(?<!Last )\blogin: "
SECOND_PROMPT = r"(?i)(password|mot de passe)[^\n]{0,20}:"
REFUSED = r"(?i)incorrect|try again|essayez|sudoers"

# The shell takes the quotes away: only sudo and bash show these words unbroken.
BECOME_ROOT = (
    "exec sudo -k -p lab'-'password: bash -c"
    " 'echo lab-\"\"root; exec bash --noprofile --norc --noediting -i'"
)

# No history, no pager, English messages, wide tables; on a serial console the kernel's
# messages below an emergency go to its ring buffer only. lab_run takes a token, and the
# script as input. Starting a program is what costs under TCG, so this starts
# two for each command.
SET_UP = r"""
PS1='# ' PS2=''
set +H
unset HISTFILE
stty -opost cols 500 rows 200
export LC_ALL=C.UTF-8 TERM=dumb PAGER=cat SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 COLUMNS=500
[[ $(tty) == /dev/ttyS* ]] && dmesg --console-level emerg
lab_output=$(mktemp)
lab_show() {
  printf '\nlab-begin %s\n' "$1"
  cat "$lab_output"
  printf '\nlab-end %s %d ' "$1" "$lab_status"
  sha256sum < "$lab_output"
}
lab_run() {
  IFS= read -r -d '' lab_script
  (eval "$lab_script") > "$lab_output" 2>&1 < /dev/null
  lab_status=$?
  lab_show "$1"
}
"""


@dataclass(frozen=True)
class Account:
    """A user of the guest; the password is typed, never shown."""

    user: str
    password: str = field(repr=False)


class Shell:
    """A root shell in the guest, reached as its teachers do: login, then sudo."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @classmethod
    def log_in(cls, console: Console, account: Account) -> Shell:
        """Log in at a console that shows (or is about to show) a login prompt.

        Raises:
            GuestError: the guest refuses the login or sudo.
            DeadlineError: a prompt did not come; the message tells which.
        """
        console.type_line(account.user)
        console.wait_for(SECOND_PROMPT, LOGIN_SECONDS, what="a password prompt")
        console.type_line(account.password)
        _wait_for_shell(console, f"a shell for {account.user}")
        console.type_line(BECOME_ROOT)
        return cls.behind_sudo(console, account.password)

    @classmethod
    def behind_sudo(cls, console: Console, password: str) -> Shell:
        """Make a Shell where BECOME_ROOT was typed; the password is for sudo.

        Raises:
            GuestError: sudo refuses.
            DeadlineError: a prompt did not come; the message tells which.
        """
        became = console.wait_for(
            r"lab-password:|lab-root", LOGIN_SECONDS, what="sudo's answer", hopeless=[REFUSED]
        )
        if became.match[0] == "lab-password:":
            console.type_line(password)
            console.wait_for("lab-root", LOGIN_SECONDS, what="a shell for root", hopeless=[REFUSED])
        return cls.set_up(console)

    @classmethod
    def set_up(cls, console: Console) -> Shell:
        """Make a Shell of a root bash that reads the console."""
        console.type_line(SET_UP)
        _wait_for_shell(console, "a shell for root")
        return cls(console)

    def run(self, command: str, *, timeout: float = 60) -> Finished:
        """Run a bash script as root, with no input; ``timeout`` in seconds.

        Each script has a subshell of its own: no variable or folder outlives it. Standard
        output and standard error come back together, byte for byte. Both the script and
        what it prints stay in the serial log.

        Raises:
            DeadlineError: it did not end in time; the message has what it printed.
            GuestError: the console does not carry the output over unharmed.
        """
        token = secrets.token_hex(4)
        self._console.type_line(f"lab_run {token} <<'{token}'\n{command}\n{token}")
        try:
            if finished := self._shown(token, timeout):
                return finished
        except DeadlineError:
            self._console.type_line(CTRL_BACKSLASH)
            finished = self._shown_again(token)
            if finished.status != QUIT:  # it had ended, and only the news of it was disturbed
                return finished
            raise DeadlineError(
                f"the guest did not end this within {timeout:g} s: {command}"
                + "".join(f"\n  | {line}" for line in finished.output.splitlines())
            ) from None
        return self._shown_again(token)

    def start(self, command: str) -> None:
        """Type a command and do not wait for its end; this shell may not outlive it."""
        self._console.type_line(command)

    def _shown_again(self, token: str) -> Finished:
        for _ in range(SHOW_TRIES):
            self._console.type_line(f"lab_show {token}")
            if finished := self._shown(token, SHOW_SECONDS):
                return finished
        raise GuestError(
            f"the output of a command came disturbed {SHOW_TRIES + 1} times; {self._console.tail()}"
        )

    def _shown(self, token: str, patience: float) -> Finished | None:
        """What the guest shows between its two lines; None if the sum does not fit."""
        end = self._console.wait_for(
            rf"\nlab-end {token} (\d+) ([0-9a-f]{{64}})", patience, what="the end of a command"
        )
        text = end.before.rpartition(f"lab-begin {token}\n")[2]
        content = text.encode(errors="surrogateescape")
        if hashlib.sha256(content).hexdigest() != end.match[2]:
            return None
        return Finished(int(end.match[1]), content.decode(errors="replace"))


def _wait_for_shell(console: Console, what: str) -> None:
    """Type until something answers as a shell does: early typing may be thrown away."""
    token = secrets.token_hex(4)
    deadline = Deadline.within(LOGIN_SECONDS)
    while True:
        console.type_line(f"echo lab-''{token}")
        try:
            console.wait_for(
                rf"lab-{token}",
                min(TYPING_SECONDS, deadline.remaining),
                what=what,
                hopeless=[REFUSED],
            )
        except DeadlineError:
            if deadline.passed:
                raise
        else:
            return
