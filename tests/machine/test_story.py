"""The verbs of a test's story, told to a bash on a terminal in place of a guest."""

from pathlib import Path

import pytest

from toiplab.hardware import Hardware
from toiplab.machine.machine import Machine
from toiplab.machine.qemu import Disk
from toiplab.machine.shell import Shell
from toiplab.machine.waiting import DeadlineError, GuestError

SYSTEMCTL = r"""#!/bin/bash
# The unit's state is the first line of $TMPDIR/states; each look but the last takes one away.
read -r load active sub result job < $TMPDIR/states
[[ $(wc -l < $TMPDIR/states) -gt 1 ]] && sed -i 1d $TMPDIR/states
printf '%s\n' LoadState=$load ActiveState=$active SubState=$sub Result=$result Job=$job
"""
JOURNALCTL = """#!/bin/sh
echo "asterisk[12]: cannot bind 5060"
"""


class TerminalMachine(Machine):
    def __init__(self, console):
        super().__init__(Hardware("essai", 64, 1, ()), Disk("/none", "raw"), Path("/none"))
        self.terminal = console
        self.bash = Shell.set_up(console)

    @property
    def console(self):
        return self.terminal

    @property
    def shell(self):
        return self.bash


@pytest.fixture
def guest(terminal):
    terminal.program("systemctl", SYSTEMCTL)
    terminal.program("journalctl", JOURNALCTL)
    return TerminalMachine(terminal.start("bash", "--noprofile", "--norc", "--noediting", "-i"))


@pytest.fixture
def states(tmp_path):
    def write(*lines):
        (tmp_path / "states").write_text("".join(f"{line}\n" for line in lines))

    return write


def test_succeed_and_fail(guest):
    assert guest.succeed("echo a") == "a\n"
    assert guest.fail("echo b; false") == "b\n"
    with pytest.raises(GuestError) as caught:
        guest.succeed("echo oops >&2; exit 4")
    assert caught.value.message == (
        "in the guest, this ended with status 4: echo oops >&2; exit 4\n  | oops"
    )
    with pytest.raises(GuestError) as caught:
        guest.fail("true")
    assert caught.value.message == "in the guest, this should have failed: true"


def test_wait_until_succeeds(guest):
    command = "echo x >> $TMPDIR/tries; wc -l < $TMPDIR/tries; (( $(wc -l < $TMPDIR/tries) > 1 ))"
    assert guest.wait_until_succeeds(command, within=20) == "2\n"


def test_the_last_try_is_told(guest):
    with pytest.raises(DeadlineError) as caught:
        guest.wait_until_succeeds("echo still starting; false", within=0.2)
    assert caught.value.message == (
        "not within 0.2 s: 'echo still starting; false' succeeded; the last try: this ended"
        " with status 1: echo still starting; false\n  | still starting"
    )


def test_wait_for_a_unit_that_comes(guest, states):
    states("loaded inactive dead success 7", "loaded active running success 0")
    guest.wait_for_unit("asterisk.service", within=20)


def test_a_failed_unit_ends_the_wait_at_once(guest, states):
    states("loaded failed failed exit-code 0")
    with pytest.raises(GuestError) as caught:
        guest.wait_for_unit("asterisk.service", within=3600)
    assert caught.value.message == (
        "in the guest, asterisk.service has failed (result exit-code)\n"
        "  | asterisk[12]: cannot bind 5060"
    )


def test_a_unit_that_takes_too_long(guest, states):
    states("loaded activating start success 7")
    with pytest.raises(DeadlineError) as caught:
        guest.wait_for_unit("asterisk.service", within=0.2)
    assert caught.value.message == (
        "not within 0.2 s: asterisk.service was active;"
        " the last try: asterisk.service is activating (start)"
    )
