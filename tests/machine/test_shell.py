import pytest

from toiplab.host import Finished
from toiplab.machine.shell import LOGIN_PROMPT, Account, Shell
from toiplab.machine.waiting import DeadlineError, GuestError, MachineGoneError

BASH = ("bash", "--noprofile", "--norc", "--noediting", "-i")
PROF = Account("prof", "s3cret é")

# Shows the first half of a file, talks as a kernel does in mid-line, shows the rest.
DISTURBED_CAT = r"""#!/bin/bash
if [[ $1 && ! -e $TMPDIR/quiet ]]; then
  %s
  head -c 5 "$1"; printf '[   12.345678] e1000: link is down\r\n'; tail -c +6 "$1"
else
  exec /bin/cat "$@"
fi
"""


@pytest.fixture
def shell(terminal):
    return Shell.set_up(terminal.start(*BASH))


@pytest.mark.parametrize(
    ("command", "finished"),
    [
        ("true", Finished(0, "")),
        ("exit 3", Finished(3, "")),
        ("echo un; echo deux >&2; false", Finished(1, "un\ndeux\n")),
        ("printf 'no newline'", Finished(0, "no newline")),
        ("printf 'tab\\tcr\\r\\n\\n\\nend\\n'", Finished(0, "tab\tcr\r\n\n\nend\n")),
        ('echo déjà vu; echo "$LC_ALL $TERM"', Finished(0, "déjà vu\nC.UTF-8 dumb\n")),
        ("for i in 1 2\ndo\n  echo $i\ndone", Finished(0, "1\n2\n")),
        ("cat; echo 'no input'", Finished(0, "no input\n")),
        ("cat <<'end'\n$HOME `date`\nend", Finished(0, "$HOME `date`\n")),
        ("echo lab-end 0 0; echo login: ", Finished(0, "lab-end 0 0\nlogin:\n")),
        ("printf '\\377\\n'", Finished(0, "\ufffd\n")),
        ("kill -TERM $BASHPID", Finished(143, "")),
        ("! false && echo 'wow!ls !! !1'", Finished(0, "wow!ls !! !1\n")),
    ],
)
def test_status_and_output_come_back_whole(shell, command, finished):
    assert shell.run(command) == finished


def test_much_output(shell):
    expected = "".join(f"{number}\n" for number in range(1, 20001))
    assert shell.run("seq 1 20000").output == expected


def test_nothing_outlives_a_command(shell):
    shell.run("cd /; value=1; set -e")
    assert shell.run('echo "${value-unset}"; false; pwd').output.startswith("unset\n")


def test_a_kernel_message_in_the_middle_is_not_output(terminal, shell):
    terminal.program("cat", DISTURBED_CAT % "touch $TMPDIR/quiet")
    assert shell.run("seq 1 5") == Finished(0, "1\n2\n3\n4\n5\n")
    assert (terminal.programs.parent / "quiet").exists()


def test_a_lost_closing_line_is_asked_for_again(terminal, shell):
    terminal.program(
        "sha256sum",
        "#!/bin/sh\n[ -e $TMPDIR/quiet ] && exec /usr/bin/sha256sum\ntouch $TMPDIR/quiet\n",
    )
    assert shell.run("echo once | tee -a $TMPDIR/count", timeout=0.5) == Finished(0, "once\n")
    assert (terminal.programs.parent / "count").read_text() == "once\n"


def test_a_console_that_always_disturbs_is_reported(terminal, shell):
    terminal.program("cat", DISTURBED_CAT % ":")
    with pytest.raises(GuestError) as caught:
        shell.run("seq 1 3")
    assert caught.value.message.startswith("the output of a command came disturbed 4 times; ")
    assert "e1000: link is down" in caught.value.message


def test_a_command_that_does_not_end_is_ended_by_the_guest(shell):
    with pytest.raises(DeadlineError) as caught:
        shell.run("echo begun; sleep 60.125", timeout=0.2)
    assert caught.value.message == (
        "the guest did not end this within 0.2 s: echo begun; sleep 60.125\n  | begun"
    )
    assert shell.run("echo still here") == Finished(0, "still here\n")
    assert shell.run("pgrep -fx 'sleep 60[.]125'").output == ""


def test_a_shell_that_goes_away(shell):
    shell.start("exit")
    with pytest.raises(MachineGoneError) as caught:
        shell.run("true")
    assert "the machine ended before it showed the end of a command" in caught.value.message


@pytest.mark.parametrize("rule", ["password", "nopasswd"])
def test_login_and_sudo(terminal, rule):
    console = terminal.start("login", SUDO_RULE=rule)
    console.wait_for(LOGIN_PROMPT, 10)
    shell = Shell.log_in(console, PROF)
    assert shell.run("echo $((6 * 7))") == Finished(0, "42\n")


def test_the_password_is_never_shown(terminal):
    console = terminal.start("login")
    seen = []
    console.write = seen.append
    console.wait_for(LOGIN_PROMPT, 10)
    Shell.log_in(console, PROF).run("true")
    assert "lab-begin" in "".join(seen)
    assert "s3cret" not in "".join(seen)
    assert "s3cret" not in repr(PROF)


@pytest.mark.parametrize(
    ("account", "rule", "told"),
    [
        (Account("prof", "faux"), "password", "the guest shows 'incorrect' in place of a shell"),
        (PROF, "none", "the guest shows 'sudoers' in place of sudo's answer"),
    ],
)
def test_a_refusal_ends_the_wait_at_once(terminal, account, rule, told):
    console = terminal.start("login", SUDO_RULE=rule)
    console.wait_for(LOGIN_PROMPT, 10)
    with pytest.raises(GuestError) as caught:
        Shell.log_in(console, account)
    assert caught.value.message.startswith(told)
