"""The commands as a person types them: bad input, interruptions, and what is left behind.

They run in a checkout of their own, a copy of this one without what was built.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from toiplab import cli, host, typed
from toiplab.builders import contract, direct
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.progress import Progress

INVOKE = Path(sys.executable).with_name("invoke")
AT_ONCE = 10  # seconds for one that is interrupted; a probe would wait for twenty
DEADLINE = 30  # seconds for a command that fails at once
BUILD_DEADLINE = 400  # seconds until mmdebstrap runs, packages fetched included
Invoke = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    top = tmp_path / "checkout"
    for name in ("overlay", "preseed", "scripts", "toiplab", "requirements.lock", "tasks.py"):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, top / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, top / name)
    (top / "labs").mkdir()
    shutil.copy(PROJECT / "labs" / "isi.yml", top / "labs")
    return top


def environment(**changes: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**clean, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **changes}


@pytest.fixture
def invoke(checkout: Path) -> Invoke:
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [INVOKE, *words],
            cwd=checkout,
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


def change(checkout: Path, old: str, new: str) -> None:
    path = checkout / "labs" / "isi.yml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def errors(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command that was refused said last; it must have no traceback and status 2."""
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said
    assert ended.returncode == 2, said
    return said[said.index("error: ") :]


def left_behind(checkout: Path) -> list[str]:
    """Whatever a command that failed should have taken away."""
    places = (*(checkout / "build").glob(".*"), *(checkout / "dist").glob("*"))
    return sorted(path.name for path in places if path.name != ".lock")


def test_an_unknown_key_is_one_line_with_status_2(checkout: Path, invoke: Invoke) -> None:
    change(checkout, "hostname:", "hostnam:")
    text = (checkout / "labs" / "isi.yml").read_text(encoding="utf-8")
    line = text.count("\n", 0, text.index("\nhostnam:")) + 2

    ended = invoke("build-ova")

    assert ended.returncode == 2
    assert ended.stdout + ended.stderr == (
        f"error: labs/isi.yml:{line}: hostnam: unknown key; did you mean hostname?\n"
    )
    assert not (checkout / "build").exists()


def test_a_mirror_that_cannot_be_reached(checkout: Path, invoke: Invoke) -> None:
    """Ten seconds at most from the command to the answer."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refused at once
        mirror = f"http://127.0.0.1:{unused.getsockname()[1]}/debian"
        started = time.monotonic()
        said = errors(invoke("build-ova", "--release", "bullseye", "--mirror", mirror))

    assert time.monotonic() - started < 10
    assert said.startswith("error: the packages are out of reach\n  Debian 11")
    assert "Connection refused" in said
    assert "--mirror http://HOST/debian" in said.splitlines()[-1]
    assert left_behind(checkout) == []


@pytest.mark.parametrize("builder", ["qemu", "virtualbox"])
def test_an_iso_that_is_not_there(checkout: Path, invoke: Invoke, builder: str) -> None:
    said = errors(invoke("build-ova", "--builder", builder, "--iso", "none.iso"))

    assert re.match(r"error: (--iso none\.iso: no such file|no Packer|no VirtualBox)", said), said
    assert left_behind(checkout) == []


def test_a_missing_program_is_named_with_its_package(
    checkout: Path, invoke: Invoke, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("apt-get", "mount", "tar", "openssl", "mke2fs"):
        (programs / name).symlink_to("/bin/true")

    said = errors(invoke("build-ova", PATH=str(programs)))

    assert said.startswith("error: missing on this machine: mmdebstrap\n")
    assert "apt-get install mmdebstrap" in said
    assert left_behind(checkout) == []


@pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit (util-linux) is not here")
def test_a_disk_that_fills_up_names_the_file_that_did_not_fit(checkout: Path) -> None:
    """A limit of 1000 bytes for each file: write(2) fails as on a full disk."""
    ended = subprocess.run(
        ["prlimit", "--fsize=1000", INVOKE, "render"],
        cwd=checkout,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    rendered = checkout / "build" / "isi" / "rendered"
    assert errors(ended).startswith(f"error: {rendered}/stage/overlay/etc/")
    assert errors(ended).endswith(": File too large\n")
    assert not list(rendered.rglob("*.part"))


def test_there_is_no_ova_to_boot(invoke: Invoke) -> None:
    said = errors(invoke("boot"))

    assert "make ova" in said or "build-ova" in said
    assert len(said.splitlines()) <= 2


def test_render_writes_what_a_build_would_use(checkout: Path, invoke: Invoke) -> None:
    ended = invoke("render")

    assert ended.returncode == 0
    assert ended.stderr == (
        "build/isi/rendered  (Debian 10.13 (buster))\n"
        "where that is out of reach, a build takes the next: --release bullseye\n"
    )
    assert (checkout / "build/isi/rendered/stage/overlay/etc/asterisk/sip.conf").exists()
    assert (checkout / "labs" / "isi.secrets.yml").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def silent_mirror() -> Iterator[socket.socket]:
    """A mirror that takes a connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(DEADLINE)
        yield listening


def processes_naming(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # it has ended
            continue
        if text.encode() in words and int(path.parent.name) != os.getpid():
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_an_interrupted_build_leaves_nothing(
    checkout: Path, tmp_path: Path, silent_mirror: socket.socket
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    address = f"127.0.0.1:{silent_mirror.getsockname()[1]}"
    mirror = f"http://{address}/debian"
    with (
        subprocess.Popen(
            [INVOKE, "build-ova", "--release", "bullseye", "--mirror", mirror],
            cwd=checkout,
            env=environment(TMPDIR=str(temporary)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as build,
        silent_mirror.accept()[0],
    ):
        build.send_signal(signal.SIGINT)
        said = build.communicate(timeout=AT_ONCE)[0]

    assert build.returncode == 130
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said
    assert processes_naming(address) == []
    assert left_behind(checkout) == []
    assert list(temporary.iterdir()) == []


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A TMPDIR that mmdebstrap's namespace may use, as pytest's own folders may not be."""
    with tempfile.TemporaryDirectory(dir=host.TEMPORARY, prefix="toip-lab-test-") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


@pytest.mark.boot
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_build_interrupted_while_it_installs_leaves_nothing(
    checkout: Path, temporary: Path, number: int
) -> None:
    """In the middle of mmdebstrap, which has mounted what it needs in its own namespace."""
    cache = PROJECT / "build" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (checkout / "build").mkdir()
    (checkout / "build" / "cache").symlink_to(cache)
    log = checkout / "build" / "isi" / "build.log"
    mounts = Path("/proc/self/mounts").read_text()
    with subprocess.Popen(
        [INVOKE, "build-ova", "--fresh"],
        cwd=checkout,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as build:
        wait_for(log, b"Unpacking ", build)
        build.send_signal(number)
        said = build.communicate(timeout=60)[0]

    assert build.returncode == 130, said
    assert said.endswith("interrupted\n")
    assert processes_naming(str(checkout)) == []
    assert left_behind(checkout) == []
    assert Path("/proc/self/mounts").read_text() == mounts
    assert list(temporary.iterdir()) == []


def wait_for(log: Path, text: bytes, build: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + BUILD_DEADLINE
    assert build.stdout
    while not (log.exists() and text in log.read_bytes()):
        assert build.poll() is None, build.stdout.read()
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        select.select([], [], [], 0.1)


@pytest.mark.parametrize(
    ("raised", "message", "status"),
    [
        (ToipLabError("wrong", hint="mend"), "error: wrong\n  mend", 2),
        (ToipLabError("checks failed", status=1), "error: checks failed", 1),
        (OSError(28, "No space left on device", "/some/file"),
         "error: /some/file: No space left on device", 2),
        (OSError(28, "No space left on device"), "error: No space left on device", 2),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)  # fmt: skip
def test_how_a_command_ends(raised: BaseException, message: str, status: int) -> None:
    with pytest.raises(Exit) as ended, cli.reporting():
        raise raised

    assert (ended.value.message, ended.value.code) == (message, status)


def test_a_request_to_terminate_is_as_good_as_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(Exit) as ended, cli.reporting():
        signal.raise_signal(signal.SIGTERM)

    assert (ended.value.message, ended.value.code) == ("interrupted", 130)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_fault_of_toip_lab_itself_shows_where_it_is() -> None:
    with pytest.raises(ZeroDivisionError), cli.reporting():
        raise ZeroDivisionError


@pytest.fixture
def request_of_checkout(checkout: Path) -> contract.Request:
    project = contract.Project(checkout)
    return contract.Request.read(checkout / "labs" / "isi.yml", project=project)


def test_a_disk_without_room_is_refused_before_anything_is_done(
    request_of_checkout: contract.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 30))

    with pytest.raises(ToipLabError) as error:
        direct.build(request_of_checkout, Progress())

    build = request_of_checkout.project.build
    assert str(error.value) == (
        f"{build}: 1.0 GiB free, a build needs 4\n"
        "  free some space there, or set TMPDIR to a folder that all may write to"
    )
    assert list(build.iterdir()) == []


def test_a_second_build_is_refused(request_of_checkout: contract.Request) -> None:
    project = request_of_checkout.project

    with contract.one_build_at_a_time(project), pytest.raises(ToipLabError) as error:
        direct.build(request_of_checkout, Progress())

    assert str(error.value).startswith(f"another build is running in {project.top}\n")
    assert left_behind(project.top) == []


def test_a_compression_that_there_is_not() -> None:
    with pytest.raises(ToipLabError) as error:
        typed.compression("tiny")

    assert str(error.value) == "--compress 'tiny': no such compression\n  fast, best"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--lab", "labs/classe.yml"),
            "--lab: only with --check, which builds; a release is of an OVA that is there",
        ),
        (("--check", "--ova", "x.ova"), "--ova: not with --check, which publishes nothing"),
        (("--check", "--compress", "tiny"), "--compress 'tiny': no such compression"),
    ],
)
def test_a_release_is_checked_or_laid_out(
    invoke: Invoke, words: tuple[str, ...], message: str
) -> None:
    assert message in errors(invoke("release", *words))


@pytest.mark.parametrize(
    ("release", "builder", "message"),
    [
        ("trixie", "auto", "unknown release 'trixie'\n  releases: auto, buster, bullseye"),
        (
            "",
            "vmware",
            "builder 'vmware': there is none\n  builders: auto, direct, qemu, virtualbox",
        ),
    ],
)
def test_what_is_unknown_is_refused_with_what_is_known(
    checkout: Path, release: str, builder: str, message: str
) -> None:
    with pytest.raises(ToipLabError) as error:
        cli.build_ova(
            checkout / "labs" / "isi.yml",
            release=release,
            builder=builder,
            mirror="",
            progress=Progress(),
        )

    assert str(error.value) == message
