"""What decides an image, when a finished one is still fresh, and one build at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_manifest import MADE
from toiplab import builders, manifest
from toiplab.builders import contract, direct
from toiplab.builders.contract import Project, Request, one_build_at_a_time
from toiplab.builders.options import BuildOptions
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.image.vmdk import Compression
from toiplab.progress import Progress

HOLDS_THE_LOCK = """
import sys
from pathlib import Path
from toiplab.builders.contract import Project, one_build_at_a_time
with one_build_at_a_time(Project(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small checkout with one file of each part of the recipe, and the default lab."""
    for name in contract.RECIPE:
        path = tmp_path / name / "deeper" / "file" if (PROJECT / name).is_dir() else tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "labs").mkdir()
    shutil.copy(PROJECT / "labs" / "isi.yml", tmp_path / "labs")
    return Project(tmp_path)


def request_in(project: Project) -> Request:
    return Request.read(project.top / "labs" / "isi.yml", project=project)


def append(project: Project, name: str) -> None:
    path = project.top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("# changed\n")


@pytest.mark.parametrize(
    "name",
    [
        "labs/isi.yml",
        "labs/isi.secrets.yml",
        "overlay/etc/new",
        "preseed/new",
        "scripts/provision.sh",
        "toiplab/lab/new.py",
        "toiplab/builders/new.py",
        "requirements.lock",
    ],
)
def test_the_digest_changes_with_what_decides_the_image(project: Project, name: str) -> None:
    before = request_in(project).digest()
    append(project, name)

    assert request_in(project).digest() != before


@pytest.mark.parametrize(
    "name",
    [
        "toiplab/lab/__pycache__/model.cpython-311.pyc",
        "labs/other.yml",
        "README.md",
        "build/x",
        "dist/x",
    ],
)
def test_the_digest_stays_with_what_does_not(project: Project, name: str) -> None:
    before = request_in(project).digest()
    append(project, name)

    assert request_in(project).digest() == before


def test_a_file_that_moves_changes_the_digest(project: Project) -> None:
    before = request_in(project).digest()
    overlay = project.top / "overlay"
    (overlay / "elsewhere").mkdir()
    (overlay / "deeper" / "file").rename(overlay / "elsewhere" / "file")

    assert request_in(project).digest() != before


def test_a_lab_is_named_from_the_top_of_the_checkout(project: Project, tmp_path: Path) -> None:
    assert request_in(project).lab_path() == "labs/isi.yml"
    assert request_in(project).folder == project.top / "build" / "isi"
    assert (
        contract.ova_path(request_in(project), "10.13")
        == tmp_path / "dist" / "toip-lab-isi-debian10.13.ova"
    )


def test_a_lab_elsewhere_is_named_in_full(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lab_file = tmp_path_factory.mktemp("elsewhere") / "isi.yml"
    shutil.copy(PROJECT / "labs" / "isi.yml", lab_file)

    assert Request.read(lab_file, project=project).lab_path() == str(lab_file)


def test_a_release_given_outright_comes_before_the_lab_files(project: Project) -> None:
    lab_file = project.top / "labs" / "isi.yml"

    assert Request.read(lab_file, project=project).release == "auto"
    assert Request.read(lab_file, project=project, release="buster").release == "buster"


Finished = Callable[..., Path]


@pytest.fixture
def finished(project: Project) -> Finished:
    """Puts an OVA with its manifest in dist/, as a build would have left it."""

    def put(**changes: object) -> Path:
        ova = project.dist / "toip-lab-isi-debian10.13.ova"
        ova.parent.mkdir(exist_ok=True)
        ova.write_bytes(b"ova")
        fresh = {"inputs_sha256": request_in(project).digest(), **changes}
        manifest.write(MADE.model_copy(update=fresh), ova)
        return ova

    return put


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The release of each build that is asked for; none is done."""
    asked: list[str] = []

    def build(request: Request, _: Progress) -> Path:
        asked.append(request.release)
        return request.project.dist / "built.ova"

    monkeypatch.setattr(direct, "build", build)
    return asked


def ensured(project: Project, release: str = "auto") -> str:
    lab_file = project.top / "labs" / "isi.yml"
    return builders.ensure_ova(lab_file, project=project, release=release).name


@pytest.mark.parametrize("release", ["auto", "buster"])
def test_a_fresh_ova_is_taken_as_it_is(
    project: Project, finished: Finished, builds: list[str], release: str
) -> None:
    ova = finished()

    assert ensured(project, release) == ova.name
    assert builds == []


def test_without_one_it_is_built(project: Project, builds: list[str]) -> None:
    assert ensured(project) == "built.ova"
    assert builds == ["auto"]


@pytest.mark.parametrize("name", ["labs/isi.yml", "overlay/deeper/file", "scripts/provision.sh"])
def test_a_stale_ova_is_built_anew(
    project: Project, finished: Finished, builds: list[str], name: str
) -> None:
    finished()
    append(project, name)

    assert ensured(project) == "built.ova"


@pytest.mark.parametrize(
    ("wanted", "kept", "met"),
    [
        (Compression.FAST, Compression.FAST, True),
        (Compression.FAST, Compression.BEST, True),
        (Compression.FAST, None, True),
        (Compression.BEST, Compression.BEST, True),
        (Compression.BEST, Compression.FAST, False),
        (Compression.BEST, None, False),
    ],
)
def test_the_compression_that_is_asked_for(
    project: Project, wanted: Compression, kept: Compression | None, met: bool
) -> None:
    request = replace(request_in(project), compression=wanted)
    fresh = {"inputs_sha256": request.digest(), "compression": kept}

    assert request.is_met_by(MADE.model_copy(update=fresh)) is met


def test_virtualbox_compresses_what_it_exports_itself(project: Project) -> None:
    request = replace(request_in(project), compression=Compression.BEST)

    with pytest.raises(ToipLabError) as error:
        builders.build("virtualbox", request, Progress())

    assert str(error.value) == (
        "--compress best: VirtualBox compresses what it exports itself\n"
        "  leave it out, or take another builder: --builder direct"
    )


@pytest.mark.parametrize(
    ("builder", "options", "said"),
    [
        ("direct", BuildOptions(accelerator="kvm"), ("--accel kvm", "qemu")),
        ("direct", BuildOptions(slow=True), ("--slow", "virtualbox")),
        ("qemu", BuildOptions(slow=True), ("--slow", "virtualbox")),
        ("virtualbox", BuildOptions(accelerator="tcg"), ("--accel tcg", "qemu")),
    ],
)
def test_an_option_of_another_builder_is_not_passed_over(
    project: Project, builder: str, options: BuildOptions, said: tuple[str, str]
) -> None:
    with pytest.raises(ToipLabError) as error:
        builders.build(builder, request_in(project), Progress(), options)

    assert str(error.value) == (
        f"{said[0]}: of no use to the builder {builder}\n"
        f"  leave it out, or take the builder that has one: --builder {said[1]}"
    )


def test_an_ova_of_another_release_is_not_taken(
    project: Project, finished: Finished, builds: list[str]
) -> None:
    finished()

    assert ensured(project, "bullseye") == "built.ova"
    assert builds == ["bullseye"]


@pytest.mark.parametrize("content", [None, b"{}"])
def test_an_ova_without_a_sound_manifest_is_built_anew(
    project: Project, finished: Finished, builds: list[str], content: bytes | None
) -> None:
    path = manifest.path_for(finished())
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    assert ensured(project) == "built.ova"


def test_a_second_build_in_one_checkout_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ToipLabError) as error, one_build_at_a_time(project):
            pass
        other.kill()
        other.wait(10)

    assert str(error.value) == (f"another build is running in {tmp_path}\n  wait for it to end")
    with one_build_at_a_time(project):
        pass


@pytest.mark.parametrize("machine", ["aarch64", "i686"])
def test_a_machine_of_another_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)

    with pytest.raises(ToipLabError) as error:
        contract.check_machine()

    assert str(error.value) == (
        f"this machine is {machine}; the appliance is amd64\n  build on a 64-bit PC (x86_64)"
    )


def test_builders_are_named_in_the_message_that_refuses_another() -> None:
    with pytest.raises(ToipLabError) as error:
        builders.check_builder("vmware")

    assert str(error.value) == (
        "builder 'vmware': there is none\n  builders: auto, direct, qemu, virtualbox"
    )


def test_the_ova_of_another_lab_file_is_not_replaced(project: Project, finished: Finished) -> None:
    ova = finished()
    other = project.top / "labs" / "mine.yml"
    shutil.copy(project.top / "labs" / "isi.yml", other)

    contract.check_owner(request_in(project), "10.13")
    with pytest.raises(ToipLabError) as error:
        contract.check_owner(Request.read(other, project=project), "10.13")

    assert str(error.value) == (
        f"{ova}: there already, built from labs/isi.yml\n"
        f"  give {other} another name (its key name), or remove that OVA"
    )


def test_an_ova_whose_manifest_is_gone_belongs_to_nobody(
    project: Project, finished: Finished
) -> None:
    manifest.path_for(finished()).unlink()

    contract.check_owner(request_in(project), "10.13")
