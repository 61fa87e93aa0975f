"""The preseed: an answer to every screen of Debian's installer, in a form that debconf takes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.test_render import HASH, ISI, inputs
from toiplab.lab.load import load
from toiplab.releases import BULLSEYE, BUSTER, Release
from toiplab.render import Installation, preseed

GOLDEN = Path(__file__).with_name("golden") / "preseed"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ toip-lab"
INSTALLATION = Installation("mirror.example.org", "/debian", "", KEY)
RELEASES = pytest.mark.parametrize(
    "release", [BUSTER, BULLSEYE], ids=lambda release: release.codename
)

# The screens that the course documents walk through, by the questions behind them.
SCREENS = (
    "debian-installer/locale",
    "keyboard-configuration/xkb-keymap",
    "netcfg/choose_interface",
    "netcfg/get_hostname",
    "netcfg/get_domain",
    "passwd/root-login",
    "passwd/make-user",
    "passwd/user-fullname",
    "passwd/username",
    "passwd/user-password-crypted",
    "clock-setup/utc",
    "time/zone",
    "partman-auto/method",
    "partman-auto/disk",
    "partman-auto/choose_recipe",
    "partman/choose_partition",
    "partman/confirm",
    "partman/confirm_nooverwrite",
    "base-installer/kernel/image",
    "apt-setup/cdrom/set-first",
    "apt-setup/use_mirror",
    "mirror/country",
    "mirror/http/hostname",
    "mirror/http/proxy",
    "apt-setup/services-select",
    "popularity-contest/participate",
    "tasksel/first",
    "grub-installer/only_debian",
    "grub-installer/bootdev",
    "finish-install/reboot_in_progress",
)


@pytest.fixture
def answers(tmp_path: Path):
    """The answers of the default lab with each (pattern, text) replaced once, by question."""

    def rendered(
        *changes: tuple[str, str],
        release: Release = BUSTER,
        installation: Installation = INSTALLATION,
    ) -> dict[str, str]:
        text = ISI.read_text(encoding="utf-8")
        for old, new in changes:
            text, count = re.subn(old, lambda _, new=new: new, text, count=1)
            assert count, old
        lab = tmp_path / "lab.yml"
        lab.write_text(text, encoding="utf-8")
        return read(preseed(inputs(load(lab), release), installation))

    return rendered


def read(text: str) -> dict[str, str]:
    lines = (line.split(maxsplit=3) for line in text.splitlines() if line and line[0] != "#")
    return {words[1]: words[3] if words[3:] else "" for words in lines}


@RELEASES
def test_the_default_lab_has_the_golden_preseed(release: Release) -> None:
    """Renewed as those of test_render.py are."""
    golden = GOLDEN / f"isi-{release.codename}.cfg"
    found = preseed(inputs(load(ISI), release), INSTALLATION)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found, encoding="utf-8")

    assert found.splitlines() == golden.read_text(encoding="utf-8").splitlines()


@RELEASES
@pytest.mark.skipif(
    not shutil.which("debconf-set-selections"), reason="debconf is not on this machine"
)
def test_debconf_takes_every_line(release: Release, tmp_path: Path) -> None:
    file = tmp_path / "preseed.cfg"
    file.write_text(preseed(inputs(load(ISI), release), INSTALLATION), encoding="utf-8")

    checked = subprocess.run(
        ["debconf-set-selections", "--checkonly", file], capture_output=True, text=True, check=True
    )

    assert checked.stderr == ""


@RELEASES
def test_every_screen_has_its_answer_and_every_answer_names_its_screen(release: Release) -> None:
    text = preseed(inputs(load(ISI), release), INSTALLATION)

    assert [question for question in SCREENS if question not in read(text)] == []
    lines = text.splitlines()
    for before, line in pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("# "), line
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_the_password_is_there_as_a_hash_only() -> None:
    text = preseed(inputs(load(ISI)), INSTALLATION)

    assert "the-password" not in text
    assert text.count(HASH) == 1
    assert not re.search(r"secret-\d", text)


def test_the_lab_answers(answers) -> None:
    found = answers(
        ("locale: .*", "locale: en_US.UTF-8"),
        ("keyboard: .*", "keyboard: us"),
        ("timezone: .*", "timezone: Europe/Paris"),
        ("hostname: .*", "hostname: pabx"),
        ("full_name: .*", 'full_name: "L\'admin (d-i) B"'),
    )

    assert found["debian-installer/locale"] == "en_US.UTF-8"
    assert found["keyboard-configuration/xkb-keymap"] == "us"
    assert found["time/zone"] == "Europe/Paris"
    assert found["netcfg/get_hostname"] == "pabx"
    assert found["passwd/user-fullname"] == "L'admin (d-i) B"
    assert found["passwd/root-login"] == "false"


@pytest.mark.parametrize(
    ("tasks", "release", "selection"),
    [
        ("[]", BUSTER, ""),
        ("[standard, ssh-server]", BULLSEYE, "standard, ssh-server"),
        ("[ssh-server, desktop]", BUSTER, "ssh-server, desktop, gnome-desktop"),
        ("[print-server, standard]", BUSTER, "print-server, standard"),
        ("[print-server, standard]", BULLSEYE, "standard"),
        ("[print-server]", BULLSEYE, ""),
    ],
)
def test_the_software_selection_is_the_labs(
    answers, tasks: str, release: Release, selection: str
) -> None:
    """Row I3."""
    found = answers((r"tasks: \[.*\]", f"tasks: {tasks}"), release=release)

    assert found["tasksel/first"] == selection
    assert found["pkgsel/include"] == "openssh-server"


def test_a_proxy_is_the_installers_too(answers) -> None:
    through = Installation("archive.debian.org", "/debian", "http://10.0.2.2:3128", KEY)

    assert answers()["mirror/http/proxy"] == ""
    assert answers(installation=through)["mirror/http/proxy"] == "http://10.0.2.2:3128"


def test_no_other_archive_is_asked_while_installing(answers) -> None:
    """One that does not answer would make the installer ask, and wait."""
    assert answers()["apt-setup/services-select"] == ""
