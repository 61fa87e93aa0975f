"""What the Invoke tasks call: options in, one clear message out.

Every mistake a user can mend ends as ``error: …`` with status 2, Ctrl-C with 130; a
traceback is a fault of toip-lab itself.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from uuid import UUID

from invoke.context import Context
from invoke.exceptions import Exit
from rich.console import Console

from toiplab import doctor as machine_doctor
from toiplab import files, manifest, typed
from toiplab import render as rendering
from toiplab.builders import build, check_builder, plan
from toiplab.builders.contract import Project, Request, one_build_at_a_time
from toiplab.builders.options import DEFAULT, BuildOptions
from toiplab.builders.sources import Chosen, choose, sources_of
from toiplab.errors import BAD_INPUT, INTERRUPTED, ToipLabError
from toiplab.host import PROJECT
from toiplab.image.ova import Ova, open_ova
from toiplab.image.vmdk import Compression
from toiplab.lab.load import load
from toiplab.machine.accelerator import Choice, KvmMemory
from toiplab.progress import Progress
from toiplab.release import twice
from toiplab.releases import RELEASES, by_codename

# A build starts at once: what only other tasks need is imported by them.
if TYPE_CHECKING:
    from toiplab.bench.bench import Options as BenchOptions
    from toiplab.exam.smoke import Options

WORKFLOWS = ".github/workflows/*.yml"


@contextmanager
def reporting() -> Iterator[Progress]:
    """Run a task's work; end the program as the convention says when it cannot be done.

    A request to terminate is treated as Ctrl-C, so that everything is cleaned up then too.
    """
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    progress = Progress()
    try:
        yield progress
    except ToipLabError as error:
        raise Exit(f"error: {error}", code=error.status) from error
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise Exit(f"error: {named}{error.strerror or error}", code=BAD_INPUT) from error
    except KeyboardInterrupt as error:
        raise Exit("interrupted", code=INTERRUPTED) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def build_ova(
    lab_file: Path,
    *,
    release: str,
    builder: str,
    mirror: str,
    progress: Progress,
    iso: str = "",
    compress: Compression = Compression.FAST,
    fresh: bool = False,
    options: BuildOptions = DEFAULT,
) -> None:
    """Build a lab's OVA and say where it is; ``iso`` and the options are for Packer."""
    check_builder(builder)
    if release not in ("", "auto"):
        by_codename(release)
    request = Request.read(
        lab_file,
        release=release or None,
        mirror=mirror or None,
        iso=Path(iso) if iso else None,
        compression=compress,
        fresh=fresh,
    )
    with progress.step("Build the OVA"):
        ova = build(builder, request, progress, options)
    size = ova.stat().st_size / 1_000_000
    progress.note(f"{ova.relative_to(request.project.top)}  ({size:.0f} MB)")
    progress.note(
        f"account {request.lab.administrator.login}; the passwords are in {request.secrets_path()}"
    )
    progress.note("prove it: make smoke      use it: make boot, or import it into VirtualBox")


def render(lab_file: Path, *, release: str, progress: Progress) -> None:
    """Write what a build would lay on the machine, to look at; a live mirror is looked up."""
    from toiplab.builders.packer.workspace import installation

    request = Request.read(lab_file, release=release or None)
    wanted = RELEASES[0] if request.release == "auto" else by_codename(request.release)
    archive = wanted.archive
    chosen = (
        Chosen(wanted, sources_of(wanted, archive))
        if archive
        else choose(wanted.codename, progress=progress)
    )
    folder = request.folder / "rendered"
    given = plan.inputs(request, chosen)
    rendering.write(rendering.render(given), folder)
    rendering.write_direct(folder, release=wanted, fs_uuid=UUID(int=0))
    preseed = rendering.preseed(given, installation(chosen.sources, key="KEY-OF-EACH-BUILD"))
    files.write(folder / "preseed.cfg", preseed.encode(), mode=0o600)
    progress.note(f"{folder.relative_to(request.project.top)}  ({wanted.title})")
    if request.release == "auto":
        progress.note(
            f"where that is out of reach, a build takes the next: --release {RELEASES[1].codename}"
        )


def boot(given: str, *, accel: Choice, progress: Progress) -> None:
    """Start an OVA for a person, its console in this terminal."""
    from toiplab.exam.candidate import newest_ova
    from toiplab.machine.interactive import boot_for_person
    from toiplab.machine.machine import Machine
    from toiplab.machine.qemu import Disk

    project = Project()
    ova = open_ova(Path(given) if given else newest_ova(project.dist))
    with progress.step(f"Verify {ova.path.name}"):
        ova.verify()
        if manifest.path_for(ova.path).exists():  # it starts without one, not with a wrong one
            manifest.verify(manifest.read(ova.path), ova.path)
    logs = project.build / "boot"
    with Machine(
        ova.hardware,
        Disk(ova.backing(), "vmdk"),
        logs,
        accelerator=accel,
        kvm_memory=KvmMemory(project.build / "kvm-fails"),
        progress=progress,
    ) as machine:
        boot_for_person(machine, progress, user=administrator(ova))


def smoke(given: str, options: Options, *, host: str, progress: Progress) -> None:
    """Examine an OVA; end with status 1 when a check fails, 2 when the exam could not run."""
    from toiplab.exam.candidate import newest_ova
    from toiplab.exam.results import Results
    from toiplab.exam.running import smoke_running
    from toiplab.exam.smoke import smoke as examine

    project = Project()
    ova = Path(given) if given else newest_ova(project.dist)
    results = Results(project.build / "report")
    if host:
        for word, given_too in (
            ("keep", options.keep),
            ("nat-only", options.nat_only),
            ("accel", options.accelerator != "auto"),
        ):
            if given_too:
                raise ToipLabError(f"--{word}: of no use with --host", hint="leave one of them out")
        status = smoke_running(
            ova, typed.address(host), results, options=options, progress=progress
        )
    else:
        status = examine(ova, results, options=options, progress=progress)
    if status:
        raise Exit(code=status)


def compare(first: Path, second: Path, *, lab: str, accel: Choice, progress: Progress) -> None:
    """Tell how two OVAs differ; end with status 1 when they do."""
    from toiplab import compare as comparison

    found = comparison.compare(
        first,
        second,
        logs=Project().build / "compare",
        lab_file=Path(lab) if lab else None,
        accelerator=accel,
        progress=progress,
    )
    comparison.show(found, first, second, Console(highlight=False))
    if found:
        raise Exit(code=1)


def bench(lab_file: Path, *, release: str, options: BenchOptions, progress: Progress) -> None:
    """Hold the contests; docs/ is written once all have been held on the same packages."""
    from toiplab.bench import bench as benchmark

    request = Request.read(lab_file, release=release or None)
    outcomes = benchmark.bench(request, options, progress)
    held = [outcome.name for outcome in outcomes]
    if missing := [name for name in benchmark.CONTESTS if name not in held]:
        progress.note(f"docs/ stays as it is until these are held too: {', '.join(missing)}")
        return
    top = request.project.top
    for path in benchmark.write(outcomes, top / "docs", command="invoke bench"):
        progress.note(str(path.relative_to(top)))


def check_release(
    lab_file: Path, *, release: str, mirror: str, compress: Compression, progress: Progress
) -> None:
    """Build a lab's OVA twice and compare; end with status 1 when the two differ."""
    if release not in ("", "auto"):
        by_codename(release)
    request = Request.read(
        lab_file, release=release or None, mirror=mirror or None, compression=compress
    )
    if twice.check(request, progress=progress):
        raise Exit(f"not the same: both OVAs and their logs are in {twice.kept(request)}", code=1)
    progress.note("the same, byte for byte")


def release(given: str, *, key: str, with_secrets: bool, tagged: bool, progress: Progress) -> None:
    """Lay out a release of an OVA, once everything that it claims has been checked."""
    from toiplab.exam.candidate import newest_ova
    from toiplab.release import gate
    from toiplab.release.publish import Layout, handouts, publish
    from toiplab.release.signing import read_key

    project = Project()
    layout = Layout(read_key(Path(key)) if key else None, with_secrets)
    folder = project.dist / "release"
    with one_build_at_a_time(project):  # from here on nobody puts another file in its place
        proven = gate.check(
            Path(given) if given else newest_ova(project.dist),
            project,
            with_secrets=with_secrets,
            tagged=tagged,
            progress=progress,
        )
        if proven.notes.name != proven.version:
            progress.warn(
                f"the notes are those of [{proven.notes.name}] in CHANGELOG.md: a rehearsal"
            )
        with progress.step(f"Lay out {folder.relative_to(project.top)}"):
            assets = publish(proven, layout, folder)
    if not with_secrets:
        for handout in handouts(proven.path):
            progress.note(f"{handout.name}: left out, for it has secrets; --with-secrets takes it")
    for asset in assets:
        progress.note(f"{asset.stat().st_size:>12,} {asset.name}")


def administrator(ova: Ova) -> str:
    """The login to name to a person; a general word where the OVA's lab is not at hand."""
    with suppress(ToipLabError):
        return load(PROJECT / manifest.read(ova.path).lab.file).administrator.login
    return "user"


def lint(context: Context, progress: Progress) -> None:
    """Run the linters; each prints what it finds."""
    folders = ("scripts", "toiplab")
    scripts = " ".join(str(p) for folder in folders for p in sorted(Path(folder).rglob("*.sh")))
    for command in (
        "ruff check --quiet .",
        "ruff format --quiet --check .",
        "mypy",
        f"shellcheck .ci/run {scripts}",
        f"check-jsonschema --quiet --builtin-schema vendor.github-workflows {WORKFLOWS}",
        f"zizmor --offline --quiet --no-progress {WORKFLOWS}",
    ):
        with progress.step(command.split()[0]):
            _run(context, command)


def pytest(context: Context) -> None:
    """Run every test, those that build and boot included."""
    _run(context, "scripts/test.sh")


def _run(context: Context, command: str) -> None:
    path = f"{Path('.venv/bin').resolve()}{os.pathsep}{os.environ.get('PATH', '')}"
    done = context.run(command, env={"PATH": path}, warn=True, pty=False)
    if done is None or not done.ok:
        raise ToipLabError(f"{command}: failed", status=1)


def doctor() -> None:
    """Print what this machine can do; end with status 2 where it cannot build."""
    from toiplab.builders import advice

    extra = (*advice.of_releases(), *advice.of_last_build(Project().dist))
    found = machine_doctor.report(extra, builders=tuple(advice.of_packer()))
    machine_doctor.show(found)
    if found.status:
        raise Exit(code=found.status)


def clean() -> None:
    """Remove what was built; downloaded packages too."""
    project = Project()
    for folder in (project.build, project.dist):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
