"""Builds that are killed, starved or doubled: dist/ and the cache stay whole, the next one works.

They start from this checkout's own layer of packages.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from toiplab import host, manifest
from toiplab.builders.cache import UNFINISHED, Store
from toiplab.builders.contract import Project, Request
from toiplab.image.ova import open_ova

pytestmark = [pytest.mark.boot, pytest.mark.apart]

LAB = host.PROJECT / "labs/isi.yml"
BUILD = """\
import pickle, sys
from pathlib import Path
from toiplab.builders import direct
from toiplab.errors import ToipLabError
from toiplab.progress import Progress
try:
    print(direct.build(pickle.loads(Path(sys.argv[1]).read_bytes()), Progress()))
except ToipLabError as error:
    sys.exit(f"error: {error}")
"""
DEADLINE_SECONDS = 600


@pytest.fixture(scope="module")
def checkout(ova: Path) -> Iterator[Request]:
    """The default lab in a project of its own, with the layers that this checkout keeps."""
    with tempfile.TemporaryDirectory(prefix="whole-builds-", dir=Project().build) as folder:
        project = Project(Path(folder))
        (project.top / "labs").mkdir()
        lab_file = Path(shutil.copy(LAB, project.top / "labs"))
        shutil.copy(LAB.with_suffix(".secrets.yml"), project.top / "labs")
        # What is kept is never written to, so that hard links are as good as copies; but a lock
        # is on the file, whatever its name, and another test may hold this checkout's.
        locks = shutil.ignore_patterns("lock", "lock-frontend")
        shutil.copytree(Project().cache, project.cache, copy_function=os.link, ignore=locks)
        yield Request.read(lab_file, project=project, release="bullseye")


@contextmanager
def building(request: Request, *before: str) -> Iterator[subprocess.Popen[str]]:
    """A build of its own process, ``before`` in front of its command."""
    stored = request.project.top / f"request-{request.fresh}"
    stored.write_bytes(pickle.dumps(request))
    process = subprocess.Popen(
        [*before, sys.executable, "-c", BUILD, stored],
        cwd=host.PROJECT,
        env={**os.environ, "PYTHONPATH": str(host.PROJECT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def reach(process: subprocess.Popen[str], stage: str) -> None:
    """Wait until a build is in a stage, by its progress."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.strip().startswith(stage):
            return
    pytest.fail(f"it never came to {stage!r}: {''.join(said)}")


def entries(request: Request) -> set[str]:
    """The names of the kept layers, each read to its end and found whole."""
    store = Store(request.project.cache / "layers")
    names = {path.name for path in store.folder.iterdir() if UNFINISHED not in path.name}
    assert {name for name in names if store.find(name)} == names
    return names


@pytest.mark.parametrize(
    ("stage", "fresh"),
    [
        ("Install", True),
        ("Make it the appliance", False),
        ("Compress the disk", False),
        ("Pack ", False),
    ],
)
def test_a_build_that_is_killed(checkout: Request, stage: str, fresh: bool) -> None:
    before = entries(checkout)

    with building(replace(checkout, fresh=fresh)) as process:
        reach(process, stage)
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_SECONDS)

    assert not checkout.project.dist.exists() or not list(checkout.project.dist.iterdir())
    assert entries(checkout) >= before


def test_a_second_build_at_the_same_time_says_why_not(checkout: Request) -> None:
    with building(replace(checkout, fresh=True)) as first:
        reach(first, "Read the package lists")
        with building(checkout) as second:
            _, said = second.communicate(timeout=DEADLINE_SECONDS)
        assert first.poll() is None

    assert second.returncode == 1
    assert said == (
        f"error: another build is running in {checkout.project.top}\n  wait for it to end\n"
    )


def test_the_next_build_works_and_leaves_nothing_but_its_ova(checkout: Request) -> None:
    with building(checkout) as process:
        out, said = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == 0, said
    ova = Path(out.strip())
    open_ova(ova).verify()
    assert manifest.read(ova).inputs_sha256 == checkout.digest()
    assert {path.suffix for path in ova.parent.iterdir()} == {".ova", ".json", ".txt"}
    assert {path.name for path in checkout.project.build.iterdir()} == {".lock", "cache", "isi"}
    assert not list((checkout.project.cache / "layers").glob(f"{UNFINISHED}*"))


def test_a_build_of_what_is_there_ends_at_once(checkout: Request) -> None:
    (ova,) = checkout.project.dist.glob("*.ova")
    before = ova.stat().st_mtime_ns

    with building(checkout) as process:
        _, said = process.communicate(timeout=DEADLINE_SECONDS)

    assert "is up to date; --fresh builds it anew" in said
    assert "Pack" not in said
    assert ova.stat().st_mtime_ns == before


def test_another_machine_around_the_same_disk(checkout: Request) -> None:
    text = checkout.lab_file.read_text(encoding="utf-8")
    changed = text.replace("memory: 1024", "memory: 1536")
    assert changed != text
    checkout.lab_file.write_text(changed, encoding="utf-8")
    request = Request.read(checkout.lab_file, project=checkout.project, release="bullseye")

    with building(request) as process:
        out, said = process.communicate(timeout=DEADLINE_SECONDS)

    assert open_ova(Path(out.strip())).hardware.memory == 1536
    assert "Compress" not in said


@pytest.fixture
def small_disk(checkout: Request) -> Iterator[tuple[Request, int]]:
    """The project with its build/ on a disk of its own, in the namespace of a process."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk for a build that maps many users")
    top = checkout.project.top / "small"
    request = Request.read(
        checkout.lab_file, project=Project(top), release=checkout.release, fresh=False
    )
    (top / "build").mkdir(parents=True, exist_ok=True)
    mounted = f"mount -t tmpfs -o size=8g none {top}/build && echo mounted && exec sleep infinity"
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", mounted], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mounted\n"
    inside = ("nsenter", "--target", str(holder.pid), "--mount")
    cache = checkout.project.cache
    subprocess.run([*inside, "mkdir", f"{top}/build/cache"], check=True)
    subprocess.run([*inside, "cp", "-a", cache / "layers", f"{top}/build/cache"], check=True)
    yield request, holder.pid
    holder.kill()
    holder.wait()


@pytest.mark.parametrize("stage", ["Make it the appliance", "Compress the disk"])
def test_a_disk_that_fills(small_disk: tuple[Request, int], stage: str) -> None:
    request, holder = small_disk
    build = request.project.build
    inside = ("nsenter", "--target", str(holder), "--mount")
    # another size of disk, so that none is kept
    with building(replace(request, lab=with_disk(request, 9)), *inside) as process:
        reach(process, stage)
        seen = Path(f"/proc/{holder}/root{build}")
        usage = shutil.disk_usage(seen)
        size = usage.used + (8 << 20)
        subprocess.run([*inside, "mount", "-o", f"remount,size={size}", build], check=True)
        _, said = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == 1
    assert "\nerror: " in said
    assert "No space left on device" in said or "the disk is full" in said
    assert "Traceback" not in said
    assert not request.project.dist.exists()
    left = {path.name for path in seen.iterdir()}
    assert left == {".lock", "cache", "isi"}
    assert not list((seen / "cache/layers").glob(f"{UNFINISHED}*"))


def with_disk(request: Request, size: int):
    machine = request.lab.machine.model_copy(update={"disk": size})
    return request.lab.model_copy(update={"machine": machine})
