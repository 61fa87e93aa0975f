"""Building twice: what is copied, under which circumstances, and what is said of the two.

The checkout of these tests has a build of its own, which writes down where it runs.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.release.appliance import Appliance
from toiplab import host
from toiplab.builders.contract import Project, Request
from toiplab.checkout import copy_checkout
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT, TEMPORARY
from toiplab.image.vmdk import Compression
from toiplab.progress import Progress
from toiplab.release import rebuild, twice

TASKS = """
import json, os, shutil, socket, time
from pathlib import Path
from invoke.tasks import task

@task
def build_ova(_, lab="", builder="", release="", mirror="", compress=""):
    here = {
        "lab": Path(lab).read_text()[:4], "builder": builder, "release": release,
        "mirror": mirror, "compress": compress,
        "folder": os.getcwd(), "user": os.geteuid(), "host": socket.gethostname(),
        "umask": os.umask(0o022), "zone": time.strftime("%z"), "language": os.environ["LANG"],
        "processors": len(os.sched_getaffinity(0)), "now": time.time(),
        "modified": os.stat("tasks.py").st_mtime,
        "files": sorted(str(p) for p in Path().rglob("*") if p.is_file() and ".git" not in p.parts),
    }
    Path("dist").mkdir()
    with open("circumstances.json", "w") as out:
        json.dump(here, out)
    which = "first" if os.environ["TZ"] == "UTC" else "second"
    shutil.copy(which + ".ova", "dist/toip.ova")
"""


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """A checkout with a lab, its secrets, packages, and what is not to be copied."""
    top = tmp_path / "checkout"
    (top / "labs").mkdir(parents=True)
    (top / "build/cache/debs/partial").mkdir(parents=True)
    (top / "build/cache/debs/a.deb").write_text("a package")
    (top / "build/cache/debs/lock").touch(mode=0o640)
    (top / "tasks.py").write_text(TASKS)
    (top / ".gitignore").write_text("*.secrets.yml\nbuild\nignored\n")
    for name in ("first", "second"):
        (top / f"{name}.ova").write_text("the same")
    (top / "ignored").write_text("")
    shutil.copy(PROJECT / "labs/isi.yml", top / "labs")
    host.run(["git", "init", "-q", top])
    return Request.read(top / "labs/isi.yml", project=Project(top))


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that another user may enter."""
    with tempfile.TemporaryDirectory(dir=TEMPORARY) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_copy_is_what_git_knows_and_the_lab(request_: Request, work: Path) -> None:
    copy = copy_checkout(request_, work / "c")

    copied = {str(path.relative_to(work / "c")) for path in (work / "c").rglob("*")}
    assert "ignored" not in copied
    assert {"tasks.py", "labs/isi.yml", "labs/isi.secrets.yml"} <= copied
    assert not [name for name in copied if name.startswith("build")]
    assert copy.digest() == request_.digest()
    assert copy.secrets_path().stat().st_mode & 0o777 == 0o600


def test_a_lab_from_outside_is_copied_too(request_: Request, tmp_path: Path, work: Path) -> None:
    shutil.copy(PROJECT / "labs/isi.yml", tmp_path / "mine.yml")
    outside = Request.read(tmp_path / "mine.yml", project=request_.project)

    copy = copy_checkout(outside, work / "c")

    assert copy.lab_file == work / "c/labs/mine.yml"
    assert copy.digest() == outside.digest()


def test_without_git_there_is_no_copy(request_: Request, work: Path) -> None:
    shutil.rmtree(request_.project.top / ".git")
    with pytest.raises(ToipLabError, match="git failed"):
        copy_checkout(request_, work / "c")


def test_the_circumstances_of_a_build(request_: Request, work: Path) -> None:
    wanted = replace(
        request_,
        release="bullseye",
        mirror="http://127.0.0.1/debian",
        compression=Compression.BEST,
    )
    copy = copy_checkout(wanted, work / "c")
    _, second, variations = twice.circumstances(work)
    rebuild.rebuild(copy, second, work=work, log=work / "log")
    seen = json.loads((work / "c/circumstances.json").read_text())

    assert seen["lab"] == (PROJECT / "labs/isi.yml").read_text()[:4]
    asked = [seen[word] for word in ("builder", "release", "mirror", "compress")]
    assert asked == ["direct", "bullseye", "http://127.0.0.1/debian", "best"]
    assert (seen["folder"], seen["umask"]) == (str(work / "c"), 0o077)
    assert (seen["zone"], seen["language"]) == ("+1400", "fr_FR.UTF-8")
    varied = {each.what: each.varied for each in variations}
    root = os.geteuid() == 0
    assert (varied["user"], varied["host name"]) == (root, root)
    assert (seen["user"] != os.geteuid(), seen["host"] != socket.gethostname()) == (root, root)
    assert (seen["processors"] < len(os.sched_getaffinity(0))) == varied["processors"]


@pytest.mark.skipif(host.which("faketime") is None, reason="faketime is not installed")
def test_the_clock_of_a_build(request_: Request, work: Path) -> None:
    copy = copy_checkout(request_, work / "c")
    first, _, _ = twice.circumstances(work)
    rebuild.rebuild(copy, replace(first, days_ahead=3), work=work, log=work / "log")
    seen = json.loads((work / "c/circumstances.json").read_text())

    assert 2 < (seen["now"] - time.time()) / 86400 < 4
    assert seen["modified"] == (work / "c/tasks.py").stat().st_mtime


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_leaves_this_machine_as_it_was(request_: Request, work: Path) -> None:
    deb = request_.project.cache / "debs/a.deb"
    before = [Path("/etc/passwd").read_bytes(), socket.gethostname(), deb.stat().st_uid]
    copy = copy_checkout(request_, work / "c")
    rebuild.share_packages(request_.project, copy.project)
    rebuild.rebuild(copy, twice.circumstances(work)[1], work=work, log=work / "log")

    assert (work / "c/build/cache/debs/a.deb").read_text() == "a package"
    assert [path.name for path in (work / "c/build/cache/debs").iterdir()] == ["a.deb"]
    assert [Path("/etc/passwd").read_bytes(), socket.gethostname(), deb.stat().st_uid] == before
    assert (work / "c/dist/toip.ova").stat().st_uid == rebuild.UID


def test_a_failed_build_is_an_error_with_its_log(request_: Request, work: Path) -> None:
    (request_.project.top / "first.ova").unlink()
    with pytest.raises(ToipLabError, match=r"(?s)No such file.*log: .*/build/twice/first.log"):
        twice.check(request_, progress=Progress(Console(quiet=True)))


def test_two_builds_that_are_the_same(request_: Request) -> None:
    out = io.StringIO()
    assert twice.check(request_, progress=Progress(Console(file=out, width=200))) == ()

    text = out.getvalue()
    assert "varied: umask: 022 and 077" in text
    assert text.count("SHA-256 ") == 2
    kept = request_.project.build / "twice"
    assert sorted(path.name for path in kept.iterdir()) == ["first.log", "second.log"]


def test_two_builds_that_differ(
    request_: Request, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("first", "second")):
        appliance = Appliance.of(tmp_path / f"tree {name}")
        (appliance.tree / "etc/hostname").write_text(f"{number}\n")
        shutil.copy(appliance.pack(tmp_path / name), request_.project.top / f"{name}.ova")

    found = twice.check(request_, progress=Progress(Console(quiet=True)))

    assert ("content", "/etc/hostname") in {(each.kind, each.name) for each in found}
    kept = request_.project.build / "twice"
    assert {"first.ova", "second.ova"} <= {path.name for path in kept.iterdir()}
    printed = capsys.readouterr().out
    assert "/etc/hostname" in printed
    assert "-0" in printed
    assert "+1" in printed


def test_what_cannot_be_varied_is_said(
    work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    which = host.which
    monkeypatch.setattr(host, "which", lambda name: None if name == "faketime" else which(name))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    first, second, variations = twice.circumstances(work)

    assert [each.what for each in variations if not each.varied] == [
        "processors",
        "clock",
        "host name",
        "user",
    ]
    assert (first.days_ahead, second.host_name, second.other_user) == (0, "", False)


def test_a_closed_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "closed/inside").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert rebuild.closed_folder(Path("/usr/bin/env")) is None
    assert rebuild.closed_folder(tmp_path / "closed/inside/file") is not None
