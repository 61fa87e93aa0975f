"""The set-up of a bare machine: the real script and Makefile, with fake programs on PATH.

A fake apt-get, sudo, id or python3 stands first on PATH and records how it was called, in
the manner of osbuild's tests; nothing is installed.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from toiplab.host import PROJECT, tools

REAL_PROGRAMS = (
    *("awk", "bash", "cat", "cut", "dirname", "env", "grep", "make", "mkdir", "rm", "sed", "sh"),
    *("sha256sum", "sort", "tail", "tee", "tr"),
)
LISTING = """\
# program or file     package             what it is for
frobnicate            frob-tools          frobs the image
grind                 frob-tools          grinds the disk
{keyring}             frob-keyring        the keys of the archive
"""
FAKE = '#!/bin/bash\necho "${{0##*/}} $*" >>"{calls}"\n{body}\n'
# Makes what a real environment has and the set-up calls; refuses to be older than 3.11.
FAKE_PYTHON = """\
if [[ $1 == -m && $2 == venv ]]; then
    mkdir -p "$3/bin"; cat "$0" >"$3/bin/python"; chmod +x "$3/bin/python"
fi
"""


@dataclass
class Machine:
    """A checkout of its own, and a PATH that holds nothing but what a test puts there."""

    checkout: Path
    programs: Path
    calls_file: Path
    keyring: Path

    def fake(self, name: str, body: str = "") -> None:
        program = self.programs / name
        program.write_text(FAKE.format(calls=self.calls_file, body=body))
        program.chmod(0o755)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.checkout,
            env={"PATH": str(self.programs), "HOME": str(self.checkout)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def setup(self) -> subprocess.CompletedProcess[str]:
        return self.run("scripts/setup.sh")

    def calls(self) -> list[str]:
        """How the fakes were called so far, but for the questions put to Python."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if " -c " not in line and not line.startswith("id ")]

    def installed(self) -> str:
        """The body of a fake apt-get that really brings what the listing wants."""
        brought = "".join(
            f'printf "#!/bin/bash\\n" >{self.programs}/{name}; chmod +x {self.programs}/{name}\n'
            for name in ("frobnicate", "grind")
        )
        return f'if [[ $1 == install ]]; then\n{brought}: >"{self.keyring}"\nfi'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A bare machine with apt, run by root, with a Python that is new enough."""
    made = Machine(
        checkout=tmp_path / "toip-lab",
        programs=tmp_path / "bin",
        calls_file=tmp_path / "calls",
        keyring=tmp_path / "keyring.gpg",
    )
    (made.checkout / "scripts").mkdir(parents=True)
    made.programs.mkdir()
    for name in (*REAL_PROGRAMS, "chmod"):
        real = shutil.which(name)
        assert real, name
        (made.programs / name).symlink_to(real)
    shutil.copy(PROJECT / "Makefile", made.checkout)
    shutil.copy(PROJECT / "scripts/setup.sh", made.checkout / "scripts")
    (made.checkout / "scripts/system-packages.txt").write_text(LISTING.format(keyring=made.keyring))
    (made.checkout / "requirements.lock").write_text("invoke==2.2.1\n")
    made.fake("apt-get", made.installed())
    made.fake("id", "echo 0")
    made.fake("python3", FAKE_PYTHON)
    return made


def test_it_says_what_it_will_install_and_then_installs_it(machine: Machine) -> None:
    done = machine.setup()

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "This machine lacks:\n"
        "  frob-tools               frobs the image\n"
        "  frob-tools               grinds the disk\n"
        "  frob-keyring             the keys of the archive\n"
        "To be installed with: apt-get install frob-keyring frob-tools\n"
        "Fetching the package lists …\n"
        "Installing them …\n"
        "Making the Python environment in .venv …\n"
        "Installing the Python packages of requirements.lock …\n"
        "Set up in "
    )
    assert machine.calls() == [
        "apt-get update",
        "apt-get install --yes --no-install-recommends --option DPkg::Lock::Timeout=300 "
        "frob-keyring frob-tools",
        "python3 -m venv .venv",
        "python -m pip install --disable-pip-version-check --no-input --only-binary :all: "
        "--no-binary python-packer,sh "
        "--require-hashes -r requirements.lock",
    ]


@pytest.mark.parametrize(("answer", "with_it"), [("exit 0", True), ("exit 100", False)])
def test_packer_comes_along_where_apt_has_it(machine: Machine, answer: str, with_it: bool) -> None:
    machine.fake("apt-cache", answer)

    assert machine.setup().returncode == 0
    installed = next(call for call in machine.calls() if call.startswith("apt-get install"))
    assert installed.endswith(" packer") is with_it


def test_nobody_is_asked_for_a_password_for_packers_sake(machine: Machine) -> None:
    machine.setup()
    before = machine.calls()
    machine.fake("apt-cache")
    machine.fake("id", "echo 1000")

    assert machine.setup().stdout == "Set up already.\n"
    assert machine.calls() == before


def test_a_second_run_sets_nothing_up_again(machine: Machine) -> None:
    assert machine.run("make", "setup").returncode == 0
    before = machine.calls()

    again = machine.run("make", "setup")

    assert (again.returncode, again.stdout, again.stderr) == (0, "Set up already.\n", "")
    assert machine.calls() == before


def test_an_ordinary_user_installs_through_sudo(machine: Machine) -> None:
    machine.fake("id", "echo 1000")
    machine.fake("sudo", 'exec "$@"')

    done = machine.setup()

    assert "To be installed with: sudo apt-get install frob-keyring frob-tools\n" in done.stdout
    assert machine.calls()[0] == "sudo env DEBIAN_FRONTEND=noninteractive apt-get update"
    assert machine.calls()[2].startswith("sudo env DEBIAN_FRONTEND=noninteractive apt-get install")


def test_without_sudo_an_ordinary_user_is_told_what_root_must_run(machine: Machine) -> None:
    machine.fake("id", "echo 1000")

    done = machine.setup()

    assert done.returncode == 2
    assert done.stderr == (
        "set-up: not root, and no sudo here: as root, run: "
        "apt-get install frob-keyring frob-tools\n"
    )
    assert machine.calls() == []


def test_without_apt_it_says_what_is_needed_and_stops(machine: Machine) -> None:
    (machine.programs / "apt-get").unlink()

    done = machine.setup()

    assert done.returncode == 2
    assert "  frob-keyring             the keys of the archive\n" in done.stdout
    assert done.stderr == (
        "set-up: no apt-get here: install these (Debian's names) by hand, then run make again\n"
    )
    assert not (machine.checkout / ".venv").exists()


def test_debians_separate_venv_package_is_installed_with_the_others(machine: Machine) -> None:
    machine.fake("python3", f"if [[ $2 == *ensurepip* ]]; then exit 1; fi\n{FAKE_PYTHON}")

    done = machine.setup()

    assert "To be installed with: apt-get install frob-keyring frob-tools python3-venv\n" in (
        done.stdout
    )


def test_another_python_is_taken_where_python3_is_too_old(machine: Machine) -> None:
    machine.fake("python3", "exit 1")
    machine.fake("python3.12", FAKE_PYTHON)

    assert machine.setup().returncode == 0
    assert "python3.12 -m venv .venv" in machine.calls()


def test_no_python_that_is_new_enough(machine: Machine) -> None:
    machine.fake("python3", 'if [[ $1 == --version ]]; then echo "Python 3.9.2"; fi; exit 1')

    done = machine.setup()

    assert done.returncode == 2
    assert done.stderr == (
        "set-up: no Python 3.11 or newer on this machine (python3 is: Python 3.9.2)\n"
        "set-up: Debian 12 and 13 and Ubuntu 24.04 have one: "
        "apt-get install python3 python3-venv\n"
    )
    assert machine.calls() == ["python3 --version"]


def test_a_failed_installation_names_its_log_and_shows_its_end(machine: Machine) -> None:
    machine.fake("apt-get", 'echo "E: Unable to locate package frob-tools" >&2; exit 100')

    done = machine.setup()

    assert done.returncode == 2
    assert done.stderr.endswith(
        "  | E: Unable to locate package frob-tools\n"
        "set-up: failed: env DEBIAN_FRONTEND=noninteractive apt-get update\n"
        "set-up: log: build/setup.log\n"
    )
    assert "Unable to locate" in (machine.checkout / "build/setup.log").read_text()


def test_an_installation_that_brings_nothing_is_not_believed(machine: Machine) -> None:
    machine.fake("apt-get")

    done = machine.setup()

    assert done.returncode == 2
    assert done.stderr.startswith("set-up: installed, and yet still not there: frob-tools frobs")


def half_made(machine: Machine) -> None:
    (machine.checkout / ".venv/set-up").unlink()


def newer_lock(machine: Machine) -> None:
    (machine.checkout / "requirements.lock").write_text("invoke==2.2.2\n")


def moved(machine: Machine) -> None:
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("moved"))


def python_upgraded(machine: Machine) -> None:
    (machine.checkout / ".venv/bin/python").unlink()


@pytest.mark.parametrize("change", [half_made, newer_lock, moved, python_upgraded])
def test_an_environment_that_is_not_right_is_made_anew(
    machine: Machine, change: Callable[[Machine], None]
) -> None:
    assert machine.setup().returncode == 0
    stale = machine.checkout / ".venv/stale"
    stale.touch()
    machine.calls_file.unlink()

    change(machine)
    done = machine.setup()

    assert done.returncode == 0, done.stderr
    assert [call.split(" --")[0] for call in machine.calls()] == [
        "python3 -m venv .venv",
        "python -m pip install",
    ]
    assert not (machine.checkout / ".venv/stale").exists()


def test_a_failed_environment_is_made_anew_by_the_next_run(machine: Machine) -> None:
    refusing = "if [[ $2 == pip ]]; then echo 'no route to host'; exit 1; fi\n"
    machine.fake("python3", refusing + FAKE_PYTHON)
    failed = machine.setup()
    assert failed.returncode == 2
    assert "  | no route to host\n" in failed.stderr

    machine.fake("python3", FAKE_PYTHON)

    assert machine.setup().returncode == 0
    assert machine.setup().stdout == "Set up already.\n"


def test_a_package_removed_later_is_noticed(machine: Machine) -> None:
    assert machine.setup().returncode == 0
    (machine.programs / "grind").unlink()

    assert "  frob-tools               grinds the disk\n" in machine.setup().stdout


def test_make_passes_its_options_on(machine: Machine) -> None:
    assert machine.setup().returncode == 0
    invoke = machine.checkout / ".venv/bin/invoke"
    invoke.write_text('#!/bin/bash\nprintf "<%s>" "$@"\n')
    invoke.chmod(0o755)

    done = machine.run("make", "ova", "LAB=labs/my lab.yml", "RELEASE=bullseye")

    assert done.stdout == (
        "Set up already.\n<build-ova><--lab=labs/my lab.yml><--release=bullseye>"
    )


def test_help_lists_every_target(machine: Machine) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert phony

    done = machine.run("make")

    assert [line.split()[1] for line in done.stdout.splitlines()] == phony[1].split()


def test_the_real_listing_names_a_package_and_a_use_for_everything() -> None:
    assert all(tool.package and tool.purpose for tool in tools())
    assert "debian-archive-keyring" in {tool.package for tool in tools()}
