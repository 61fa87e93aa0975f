"""10.13 as it will be built where the Internet is: from its archive's own addresses to the OVA.

A proxy on loopback answers for archive.debian.org, out of an archive of the tests' own that
is laid out and signed as that one is. Debian 11's packages, as this machine's mirror gives
them, stand in for those of 10.13: suites, signatures, dates, addresses and every line of
code are 10.13's.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.archive.layout import (
    BUSTER,
    BUSTER_SECURITY,
    BUSTER_UPDATES,
    EPOCH,
    DebianArchive,
)
from tests.builders.conftest import Signers
from toiplab import host, manifest, releases, render
from toiplab.bench.loopback import served
from toiplab.builders import direct, plan
from toiplab.builders.contract import Project, Request
from toiplab.builders.packages import PackageSet, resolve
from toiplab.builders.sources import choose
from toiplab.exam.candidate import read_candidate
from toiplab.exam.plan import FIRST_EXAM
from toiplab.exam.registry import Check
from toiplab.exam.runner import Outcome, Result, run_exam
from toiplab.exam.smoke import FIRST_BOOT
from toiplab.exam.subject import MachineGuest
from toiplab.image import vmdk_reader
from toiplab.image.disk import MIB
from toiplab.image.ova import open_ova
from toiplab.manifest import Manifest
from toiplab.progress import Progress
from toiplab.releases import Release

pytestmark = pytest.mark.boot

LAB = host.PROJECT / "labs/isi.yml"
CACHE = host.PROJECT / "build/cache"
LOGS = host.PROJECT / "build/rehearsal"
PLAYED_BY = {
    "bullseye": BUSTER,
    "bullseye-updates": BUSTER_UPDATES,
    "bullseye-security": BUSTER_SECURITY,
}
DISTS = (
    "http://archive.debian.org/debian/dists/buster",
    "http://archive.debian.org/debian/dists/buster-updates",
    "http://archive.debian.org/debian-security/dists/buster/updates",
)
LISTED = re.compile(r"(\d+-\w{3}-\d{4} \d\d:\d\d) (\S+)\s*$", re.MULTILINE)
STARTED_SECONDS = 300
STOPPED_SECONDS = 90
BUILD = """\
import pickle, sys
from pathlib import Path
from toiplab.builders import direct, plan
from toiplab.progress import Progress
request, releases = pickle.loads(Path(sys.argv[1]).read_bytes())
direct.build(request, Progress(), releases=releases)
"""


@pytest.fixture(scope="module")
def request_for_auto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Request]:
    """The default lab as ``make ova`` builds it, in a project folder of its own."""
    project = Project(tmp_path_factory.mktemp("project"))
    lab_file = project.top / "labs" / LAB.name
    lab_file.parent.mkdir()
    lab_file.write_bytes(LAB.read_bytes())
    yield Request.read(lab_file, project=project)
    for large in (project.dist, project.cache):  # pytest keeps the rest of three runs
        shutil.rmtree(large, ignore_errors=True)


@pytest.fixture(scope="module")
def live(request_for_auto: Request, tmp_path_factory: pytest.TempPathFactory) -> PackageSet:
    """Debian 11's packages of that lab, from the mirror of this machine."""
    progress = Progress()
    chosen = choose("bullseye", progress=progress)
    return resolve(
        chosen,
        render.render(plan.inputs(request_for_auto, chosen)).packages,
        cache=CACHE,
        log=tmp_path_factory.mktemp("live") / "apt.log",
        progress=progress,
    )


@pytest.fixture(scope="module")
def known(
    live: PackageSet, signers: Signers, keyring: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Release, ...]]:
    """The releases there are, 10.13 signed by the tests, while its archive can be reached.

    It is Debian 11 dressed up as 10.13: whole indexes, the files that are needed.
    """
    root = tmp_path_factory.mktemp("www")
    archive = DebianArchive(root, signers.keys, (signers.expired, signers.valid))
    for name, suite in PLAYED_BY.items():
        archive.publish_index(suite, index_of(live, name))
    for package in live.packages:
        path = root / PLAYED_BY[package.suite].area / package.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(live.debs / package.file_name)
    config = tmp_path_factory.mktemp("apt") / "apt.conf"
    with pytest.MonkeyPatch.context() as patch, served(root) as proxy:
        config.write_text(f'Acquire::http::Proxy::archive.debian.org "{proxy}";\n')
        patch.setenv("APT_CONFIG", str(config))
        patch.delenv("no_proxy", raising=False)
        yield replace(releases.BUSTER, keyrings=(str(keyring),)), releases.BULLSEYE


@pytest.fixture(scope="module")
def built(request_for_auto: Request, known: tuple[Release, ...]) -> Path:
    """The OVA."""
    return direct.build(request_for_auto, Progress(), releases=known)


@pytest.fixture(scope="module")
def record(built: Path) -> Manifest:
    """Its manifest."""
    return manifest.read(built)


@dataclass(frozen=True)
class RootFileSystem:
    """The OVA's own, read by debugfs(8) without a mount."""

    raw: Path

    def ask(self, question: str) -> str:
        """What debugfs answers; it tells of what it cannot find on standard error only."""
        place = f"{self.raw}?offset={MIB}"
        done = subprocess.run(
            ["debugfs", "-R", question, place],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "TZ": "UTC"},
        )
        _, *complaints = done.stderr.splitlines()  # the first line is its version
        assert complaints == []
        return done.stdout

    def text(self, path: str) -> str:
        return self.ask(f"cat {path}")

    def changed(self, folder: str) -> dict[str, datetime]:
        """Each name in a folder, with its time of change."""
        return {
            name: datetime.strptime(when, "%d-%b-%Y %H:%M").replace(tzinfo=UTC)
            for when, name in LISTED.findall(self.ask(f"ls -l {folder}"))
            if name not in {".", ".."}
        }


@pytest.fixture(scope="module")
def shipped(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RootFileSystem]:
    """The file system on the disk in the OVA."""
    raw = tmp_path_factory.mktemp("disk") / "disk.raw"
    ova = open_ova(built)
    vmdk_reader.extract(built, raw, offset=ova.disk.offset, size=ova.disk.size)
    yield RootFileSystem(raw)
    raw.unlink()


@pytest.fixture(scope="module")
def results(built: Path, request_for_auto: Request) -> tuple[Result, ...]:
    """What the exam says of it after its first boot."""
    LOGS.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    candidate = read_candidate(built, request_for_auto.lab_file)
    with candidate.machine(LOGS, accelerator="auto", progress=progress) as machine:
        machine.boot()
        return tuple(
            run_exam(
                candidate.subject(MachineGuest(machine), LOGS),
                FIRST_EXAM,
                progress,
                part=FIRST_BOOT,
            )
        )


def index_of(live: PackageSet, suite: str) -> bytes:
    (path,) = live.lists.glob(f"*_dists_{suite}_main_binary-amd64_Packages")
    return path.read_bytes()


def test_the_ova_is_named_after_the_release(built: Path, request_for_auto: Request) -> None:
    assert built == request_for_auto.project.dist / "toip-lab-isi-debian10.13.ova"
    assert {path.name for path in built.parent.iterdir()} == {
        built.name,
        "toip-lab-isi-debian10.13.manifest.json",
        "toip-lab-isi-debian10.13.packages.txt",
    }


def test_its_manifest_tells_where_it_comes_from(record: Manifest, live: PackageSet) -> None:
    assert (record.release, record.debian, record.epoch) == ("buster", "10.13", EPOCH)
    assert tuple(f"{s.uri}/dists/{s.suite}" for s in record.sources) == DISTS
    for dist in DISTS:
        assert [i for i in record.indexes if i.url.startswith(f"{dist}/")], dist
    assert {package.name: package.version for package in record.packages} == live.versions
    assert {package.suite for package in record.packages} >= {"buster", "buster/updates"}
    assert [(s.source, s.taken_version, s.binaries) for s in record.substitutions] == [
        (s.source, s.taken_version, s.binaries) for s in live.substitutions
    ]


def test_its_own_package_sources_are_the_archive(shipped: RootFileSystem) -> None:
    entries = [
        line for line in shipped.text("/etc/apt/sources.list").splitlines() if line[:1] not in "#"
    ]

    assert entries == [
        "deb http://archive.debian.org/debian buster main",
        "deb http://archive.debian.org/debian buster-updates main",
        "deb http://archive.debian.org/debian-security buster/updates main",
    ]
    assert 'Acquire::Check-Valid-Until "false";' in shipped.text("/etc/apt/apt.conf.d/80toip-lab")


def test_what_a_class_sees_says_the_release(shipped: RootFileSystem) -> None:
    assert "Debian 10.13 (buster)" in shipped.text("/etc/issue")
    assert 'menuentry "Debian GNU/Linux 10.13"' in shipped.text("/boot/grub/grub.cfg")


def test_every_package_is_installed(shipped: RootFileSystem, record: Manifest) -> None:
    status = shipped.text("/var/lib/dpkg/status")

    assert status.count("\nStatus: install ok installed\n") == len(record.packages)
    assert 'Fast link dest: "usr/bin"' in shipped.ask("stat /bin")


@pytest.mark.parametrize(
    ("folder", "kept"),
    [
        ("etc/apt/preferences.d", set()),
        ("etc/dpkg/dpkg.cfg.d", {"toip-lab"}),
        ("tmp", set()),
        ("var/tmp", set()),
        ("var/cache/apt/archives", {"lock", "partial"}),
        ("var/lib/apt/lists", set()),
    ],
)
def test_nothing_is_left_of_the_build(shipped: RootFileSystem, folder: str, kept: set[str]) -> None:
    assert set(shipped.changed(f"/{folder}")) <= kept


@pytest.mark.parametrize("folder", ["", "etc", "etc/apt/apt.conf.d", "var/lib/dpkg", "usr/bin"])
def test_nothing_is_younger_than_the_archive(shipped: RootFileSystem, folder: str) -> None:
    changed = shipped.changed(f"/{folder}")

    assert max(changed.values()).timestamp() <= EPOCH
    assert changed.keys().isdisjoint({"resolv.conf", "99mmdebstrap", "status-old"})


@pytest.mark.parametrize("check", FIRST_EXAM, ids=lambda check: check.name)
def test_the_exam(check: Check, results: tuple[Result, ...]) -> None:
    """Only the kernel tells that the packages are Debian 11's."""
    (result,) = (result for result in results if result.check is check)

    if result.check.name == "I4 kernel":
        assert result.outcome is Outcome.FAIL
        assert result.told == "start of uname -r: expected 4.19.0-, saw 5.10.0-"
    else:
        assert result.outcome is Outcome.PASS, result.told


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A place for mmdebstrap that its user namespace may enter, unlike pytest's folders."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="toip-lab-test-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def test_nothing_is_left_of_an_interruption(
    built: Path,
    request_for_auto: Request,
    known: tuple[Release, ...],
    tmp_path: Path,
    temporary: Path,
) -> None:
    stored, log = tmp_path / "request", request_for_auto.folder / "build.log"
    stored.write_bytes(pickle.dumps((replace(request_for_auto, fresh=True), known)))
    log.unlink()
    finished = {path: path.stat().st_mtime_ns for path in built.parent.iterdir()}
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, stored],
        cwd=host.PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
    )
    wait_for(log, "Unpacking ", process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=STOPPED_SECONDS)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said
    assert {path: path.stat().st_mtime_ns for path in built.parent.iterdir()} == finished
    build = request_for_auto.project.build
    assert {path.name for path in build.iterdir()} == {".lock", "cache", "isi"}
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
