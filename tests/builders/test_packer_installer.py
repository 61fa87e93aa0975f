"""What Debian's installer tells by syslog, as it was recorded, and what is made of it."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from rich.console import Console

from toiplab.builders.packer.client import Line
from toiplab.builders.packer.installer import QUESTION_SECONDS, InstallerLog, Receiver
from toiplab.builders.packer.watch import SILENCE_SECONDS, Phases, SilentError, Watch
from toiplab.errors import ToipLabError
from toiplab.progress import Progress

SKIPPED = (
    "debconf: --> INPUT high netcfg/get_hostname",
    "debconf: <-- 30 question skipped",
    "debconf: --> GO",
    "debconf: <-- 0 ok",
)
ASKED = (
    "debconf: --> INPUT critical mirror/bad",
    "debconf: <-- 0 question will be asked",
    "debconf: --> GO",
)
SECRET = (
    "debconf: --> SET passwd/user-password-crypted $6$salt$hash",
    "debconf: --> GET passwd/user-password-crypted",
    "debconf: <-- 0 $6$salt$hash",
    "in-target: debconf (developer): --> 0 $6$salt$hash",
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> InstallerLog:
    return InstallerLog(tmp_path / "installer.log", clock)


def tell(log: InstallerLog, *texts: str) -> list[str | None]:
    return [log.take(f"<15>Nov 25 00:52:37 {text}\n".encode()) for text in texts]


def test_a_question_that_the_preseed_answers_is_none(log: InstallerLog, clock: Clock) -> None:
    tell(log, *SKIPPED)
    clock.now += 10 * QUESTION_SECONDS

    assert (log.waits_at(), log.asked) == (None, [])


def test_a_question_that_nobody_answers(log: InstallerLog, clock: Clock) -> None:
    tell(log, *SKIPPED, *ASKED)
    assert log.waits_at() is None  # it may still go on by itself

    clock.now += QUESTION_SECONDS

    assert log.waits_at() == "mirror/bad"


def test_a_question_that_goes_on_by_itself(log: InstallerLog, clock: Clock) -> None:
    tell(log, *ASKED, "debconf: <-- 0 ok")
    clock.now += 10 * QUESTION_SECONDS

    assert (log.waits_at(), log.asked) == (None, ["mirror/bad"])


def test_answers_are_not_written_down(log: InstallerLog) -> None:
    tell(log, "main-menu[380]: INFO: Menu item 'netcfg' selected", *SECRET, *ASKED)
    written = log.file.read_text(encoding="utf-8")

    assert "hash" not in written
    assert "INPUT critical mirror/bad" in written
    assert "Menu item 'netcfg' selected" in written


def test_the_installers_steps_are_phases(log: InstallerLog) -> None:
    phases = tell(
        log,
        "main-menu[380]: INFO: Menu item 'network-preseed' selected",
        "main-menu[380]: INFO: Menu item 'bootstrap-base' selected",
        "debootstrap: I: Retrieving base-files",
        "main-menu[380]: INFO: Menu item 'grub-installer' selected",
    )

    assert phases == [
        None, "Installer: base system and kernel", None, "Installer: GRUB"
    ]  # fmt: skip


def test_trouble_is_remembered_and_noise_is_not(log: InstallerLog) -> None:
    tell(
        log,
        "kernel: [    1.2] ata2: failed to resume link (SStatus 0 SControl 0)",
        "debootstrap: E: Failed getting release file http://mirror/dists/bullseye/Release",
        "main-menu[380]: WARNING **: Configuring 'bootstrap-base' failed with error code 1",
        "main-menu[380]: WARNING **: Configuring 'bootstrap-base' failed with error code 1",
    )

    assert [line.partition("37 ")[2] for line in log.last_trouble()] == [
        "debootstrap: E: Failed getting release file http://mirror/dists/bullseye/Release",
        "main-menu[380]: WARNING **: Configuring 'bootstrap-base' failed with error code 1",
    ]


def test_messages_arrive_on_loopback() -> None:
    with Receiver() as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        assert list(receiver.messages()) == []
        sender.sendto(b"<14>one", ("127.0.0.1", receiver.port))
        sender.sendto(b"<14>two", ("127.0.0.1", receiver.port))

        assert list(receiver.messages()) == [b"<14>one", b"<14>two"]


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def phases(shown: io.StringIO):
    with Phases(Progress(Console(file=shown, width=200))) as entered:
        yield entered


def watch(phases: Phases, log: InstallerLog, *, first_word_seconds: float = 300) -> Watch:
    return Watch(
        phases, log, log=log.file.with_name("packer.log"), first_word_seconds=first_word_seconds
    )


def say(watch: Watch, text: str, kind: str = "say") -> None:
    watch.line(Line("ui", (kind, f"==> qemu.toip-lab: {text}")))


def test_phases_follow_packer_the_installer_and_the_script(
    phases: Phases, log: InstallerLog, shown: io.StringIO
) -> None:
    watching = watch(phases, log)

    say(watching, "Starting VM, booting from CD-ROM")
    say(watching, "Typing the boot command over VNC...")
    watching.message(b"<14>Nov 25 00:01:00 main-menu[3]: INFO: Menu item 'partman-base' selected")
    watching.message(b"<14>Nov 25 00:01:00 main-menu[3]: INFO: Menu item 'partman-base' selected")
    say(watching, "Connected to SSH!")
    say(watching, "toip-lab: Install the packages", "message")
    say(watching, "Gracefully halting virtual machine...")

    started = [line[:-2] for line in shown.getvalue().splitlines() if line.endswith(" …")]
    assert started == [
        "Start the machine", "Boot the installer", "Installer: partitions", "First boot",
        "Install the packages", "Switch the machine off",
    ]  # fmt: skip


def test_what_apt_says_in_the_guest_is_kept_for_the_error(
    phases: Phases, log: InstallerLog
) -> None:
    watching = watch(phases, log)
    say(watching, "Setting up vim (2:8.2.2434-3) ...", "message")
    say(watching, "E: Failed to fetch http://m/vim.deb  Could not connect to m:80", "message")
    say(watching, "Script exited with non-zero exit status: 100", "error")

    assert watching.said == [
        "E: Failed to fetch http://m/vim.deb  Could not connect to m:80",
        "Script exited with non-zero exit status: 100",
    ]


def test_an_installer_that_never_speaks(phases: Phases, log: InstallerLog) -> None:
    with pytest.raises(SilentError):
        watch(phases, log, first_word_seconds=-1).tick()


def test_a_question_ends_the_build(phases: Phases, log: InstallerLog, clock: Clock) -> None:
    watching = watch(phases, log)
    for text in ("choose-mirror[9]: WARNING **: mirror does not support bullseye", *ASKED):
        watching.message(f"<15>Nov 25 00:52:37 {text}".encode())
    watching.tick()
    clock.now += QUESTION_SECONDS

    with pytest.raises(ToipLabError) as error:
        watching.tick()

    assert str(error.value) == (
        "Debian's installer asks mirror/bad: the installer cannot use its mirror\n"
        "  | installer: Nov 25 00:52:37 choose-mirror[9]: WARNING **: mirror does not support "
        f"bullseye\n  log: {log.file}\n"
        "  check the network and the proxy, or name another mirror (--mirror)"
    )


def test_silence_ends_the_build(
    phases: Phases, log: InstallerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases.enter("Installer: base system and kernel")
    watching = watch(phases, log)
    monkeypatch.setattr("toiplab.builders.packer.watch.SILENCE_SECONDS", -1)

    watching.message(b"<14>Nov 25 00:00:00 syslogd started")

    with pytest.raises(ToipLabError, match="base system and kernel: not a word for"):
        watching.tick()
    assert SILENCE_SECONDS > QUESTION_SECONDS
