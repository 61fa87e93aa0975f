"""The whole of 10.13's path, with the real mmdebstrap, from an archive of the tests' own.

Debian 11's packages, as this machine's mirror gives them, stand in for those of 10.13:
suites, signatures, dates, addresses and every line of code are 10.13's.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from tests.archive.layout import (
    BUSTER,
    BUSTER_SECURITY,
    BUSTER_UPDATES,
    EPOCH,
    DebianArchive,
    served,
)
from tests.builders.conftest import Signers
from toiplab import host, releases
from toiplab.builders.bootstrap import make_root
from toiplab.builders.packages import PackageSet, resolve
from toiplab.builders.sources import choose
from toiplab.progress import Progress
from toiplab.releases import Archive

pytestmark = pytest.mark.boot

CACHE = host.PROJECT / "build" / "cache"
WANTED = (
    *("linux-image-amd64", "systemd-sysv", "ifupdown", "isc-dhcp-client", "grub-pc", "locales"),
    *("console-setup", "keyboard-configuration", "tasksel", "popularity-contest", "vim"),
    *("net-tools", "isc-dhcp-server", "asterisk", "asterisk-core-sounds-fr", "asterisk-mp3"),
    *("asterisk-mysql", "asterisk-voicemail", "openssh-server", "sudo"),
)
PLAYED_BY = {
    "bullseye": BUSTER,
    "bullseye-updates": BUSTER_UPDATES,
    "bullseye-security": BUSTER_SECURITY,
}
ANSWERS = """\
grub-pc grub-pc/install_devices multiselect
grub-pc grub-pc/install_devices_empty boolean true
man-db man-db/auto-update boolean false
popularity-contest popularity-contest/participate boolean false
"""
EARLY = {PurePosixPath("/etc/initramfs-tools/conf.d/rehearsal"): b"MODULES=list\n"}
STARTED_SECONDS = 300
STOPPED_SECONDS = 90
MAKE = """\
import pickle, sys
from pathlib import Path
from toiplab.builders.bootstrap import make_root
from toiplab.progress import Progress
found = pickle.loads(Path(sys.argv[1]).read_bytes())
make_root(found, target=Path(sys.argv[2]), log=Path(sys.argv[3]), progress=Progress())
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> PackageSet:
    """Debian 11's packages from the mirror of this machine."""
    progress = Progress()
    return resolve(
        choose("bullseye", progress=progress),
        WANTED,
        cache=CACHE,
        log=tmp_path_factory.mktemp("live") / "apt.log",
        progress=progress,
    )


@pytest.fixture(scope="module")
def address(
    live: PackageSet, signers: Signers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Debian 11 dressed up as 10.13: whole indexes, the files that are needed."""
    root = tmp_path_factory.mktemp("www")
    archive = DebianArchive(root, signers.keys, (signers.expired, signers.valid))
    for name, suite in PLAYED_BY.items():
        archive.publish_index(suite, index_of(live, name))
    for package in live.packages:
        path = root / PLAYED_BY[package.suite].area / package.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(live.debs / package.file_name)
    with pytest.MonkeyPatch.context() as patch, served(root) as url:
        patch.setenv("no_proxy", "127.0.0.1")
        yield url


@pytest.fixture(scope="module")
def rehearsed(
    live: PackageSet, address: str, keyring: Path, tmp_path_factory: pytest.TempPathFactory
) -> PackageSet:
    """The set as 10.13's code resolves it from the archive of the tests."""
    release = replace(
        releases.BUSTER,
        archive=Archive(f"{address}/debian", f"{address}/debian-security"),
        keyrings=(str(keyring),),
    )
    progress = Progress()
    folder = tmp_path_factory.mktemp("rehearsed")
    return resolve(
        choose("auto", progress=progress, releases=(release, releases.BULLSEYE)),
        WANTED,
        cache=folder / "cache",
        log=folder / "apt.log",
        progress=progress,
    )


def index_of(live: PackageSet, suite: str) -> bytes:
    (path,) = live.lists.glob(f"*_dists_{suite}_main_binary-amd64_Packages")
    return path.read_bytes()


def test_the_archive_gives_the_same_packages(rehearsed: PackageSet, live: PackageSet) -> None:
    assert rehearsed.release.codename == "buster"
    assert rehearsed.versions == live.versions
    assert [(s.source, s.taken_version, s.binaries) for s in rehearsed.substitutions] == [
        (s.source, s.taken_version, s.binaries) for s in live.substitutions
    ]
    assert rehearsed.epoch == EPOCH
    assert {package.suite for package in rehearsed.packages} >= {"buster", "buster/updates"}


def test_mmdebstrap_installs_exactly_that(rehearsed: PackageSet, tmp_path: Path) -> None:
    target = tmp_path / "root.tar"
    make_root(
        rehearsed,
        target=target,
        log=tmp_path / "mmdebstrap.log",
        progress=Progress(),
        answers=ANSWERS,
        early_files=EARLY,
    )
    with tarfile.open(target) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        status = tar.extractfile(members["var/lib/dpkg/status"])
        assert status is not None
        installed = status.read().decode()
    assert installed.count("\nStatus: install ok installed\n") == len(rehearsed.packages)
    assert members["bin"].linkname == "usr/bin"
    assert "etc/initramfs-tools/conf.d/rehearsal" in members
    for left in (
        "etc/apt/preferences.d/toip-lab-build",
        "etc/dpkg/dpkg.cfg.d/toip-lab-build",
        "etc/resolv.conf",
        "etc/hostname",
        "tmp/debconf-answers",
    ):
        assert left not in members
    assert not [name for name in members if name.endswith((".deb", "_Packages", "_InRelease"))]
    assert os.geteuid() not in {member.uid for member in members.values()} - {0}
    assert max(member.mtime for member in members.values()) <= rehearsed.epoch
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".log"] == ["root.tar"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A place for mmdebstrap that its user namespace may enter, unlike pytest's folders."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="toip-lab-test-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def test_nothing_is_left_of_an_interruption(
    rehearsed: PackageSet, tmp_path: Path, temporary: Path
) -> None:
    stored, log = tmp_path / "set", tmp_path / "mmdebstrap.log"
    stored.write_bytes(pickle.dumps(rehearsed))
    target = tmp_path / "out" / "root.tar"
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, stored, target, log],
        cwd=host.PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
    )
    wait_for(log, "Unpacking ", process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=STOPPED_SECONDS)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said
    assert list(target.parent.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert str(temporary) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert programs_of(temporary) == []


def wait_for(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a running program's log has a text."""
    deadline = time.monotonic() + STARTED_SECONDS
    while not log.exists() or text not in log.read_text(encoding="utf-8", errors="replace"):
        assert time.monotonic() < deadline, host.tail(log)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
            pytest.fail(f"it ended by itself: {host.tail(log)}")


def programs_of(folder: Path) -> list[str]:
    """The command lines of the running programs that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(folder) in words and int(path.parent.name) != os.getpid():
            found.append(words)
    return found
