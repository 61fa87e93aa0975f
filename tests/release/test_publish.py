"""What lies in dist/release/: whole, summed, and nothing where it cannot be whole."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.release.conftest import Ready
from toiplab import __version__, cli, files
from toiplab.errors import ToipLabError
from toiplab.progress import Progress
from toiplab.release import publish as publishing
from toiplab.release.gate import Proven
from toiplab.release.publish import Layout, appearing_folder, publish


@pytest.fixture
def proven(ready: Ready) -> Proven:
    return ready.check()


@pytest.fixture
def folder(ready: Ready) -> Path:
    return ready.project.dist / "release"


ALWAYS = [
    "RELEASE_NOTES.md",
    "SHA256SUMS",
    "toip.cdx.json",
    "toip.exam.zip",
    "toip.manifest.json",
    "toip.ova",
]


def test_all_that_belongs_to_a_release_is_there(proven: Proven, folder: Path) -> None:
    assert [path.name for path in publish(proven, Layout(), folder)] == ALWAYS
    assert (folder / "toip.ova").read_bytes() == proven.path.read_bytes()


def test_every_file_is_summed(proven: Proven, folder: Path) -> None:
    publish(proven, Layout(), folder)

    said = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.splitlines() == [f"{name}: OK" for name in ALWAYS if name != "SHA256SUMS"]


def test_the_notes_tell_what_changed_what_was_proved_and_what_is_public(
    proven: Proven, folder: Path
) -> None:
    publish(proven, Layout(), folder)
    notes = (folder / "RELEASE_NOTES.md").read_text()

    assert notes.startswith(f"# toip-lab {__version__}\n\n- Phones that ring.\n\n")
    assert f"Debian 11.11 (bullseye), built from commit {proven.commit}." in notes
    assert "on 2026-11-28 09:00 UTC, in TCG: 103 passed, 0 failed" in notes
    assert "**Its secrets are public**" in notes
    assert f"| toip.ova | {proven.path.stat().st_size} |\n" in notes
    assert "sha256sum --check --ignore-missing SHA256SUMS" in notes


def test_the_secrets_are_beside_the_ova_where_that_was_asked_for(
    proven: Proven, folder: Path
) -> None:
    publish(proven, Layout(with_secrets=True), folder)

    given = yaml.safe_load((folder / "toip.secrets.yml").read_text())
    assert given == proven.candidate.secrets.model_dump(exclude={"salt"})


def test_a_hand_out_goes_with_the_secrets(proven: Proven, folder: Path) -> None:
    (folder.parent / "toip.handout.pdf").write_bytes(b"%PDF")

    without = [path.name for path in publish(proven, Layout(), folder)]
    with_it = [path.name for path in publish(proven, Layout(with_secrets=True), folder)]

    assert without == ALWAYS
    assert sorted({*with_it} - {*ALWAYS}) == ["toip.handout.pdf", "toip.secrets.yml"]


def test_the_report_is_packed_without_what_was_recorded(proven: Proven, folder: Path) -> None:
    proven.results.lab_capture.write_bytes(b"a PIN")
    publish(proven, Layout(), folder)

    with zipfile.ZipFile(folder / "toip.exam.zip") as archive:
        assert archive.namelist() == [
            f"toip.exam/{name}" for name in ("index.html", "junit.xml", "exam.json")
        ]
        assert archive.read("toip.exam/index.html") == proven.results.page.read_bytes()


def test_the_same_ova_is_released_the_same(proven: Proven, folder: Path) -> None:
    publish(proven, Layout(), folder)
    first = files.sha256(folder / "SHA256SUMS")
    publish(proven, Layout(), folder)

    assert files.sha256(folder / "SHA256SUMS") == first


def test_a_release_takes_the_place_of_the_one_before(proven: Proven, folder: Path) -> None:
    publish(proven, Layout(with_secrets=True), folder)
    publish(proven, Layout(), folder)

    assert sorted(path.name for path in folder.iterdir()) == ALWAYS
    assert not list(folder.parent.glob(".release*"))


def test_one_that_cannot_be_whole_leaves_the_one_before(
    proven: Proven, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(proven, Layout(), folder)
    monkeypatch.setattr(publishing.gate, "ASSET_LIMIT", 100)

    with pytest.raises(ToipLabError, match="a release takes files of less than 2 GiB"):
        publish(proven, Layout(with_secrets=True), folder)

    assert sorted(path.name for path in folder.iterdir()) == ALWAYS
    assert not list(folder.parent.glob(".release*"))


def test_one_that_is_interrupted_at_the_last_moment_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with appearing_folder(tmp_path / "release") as folder:
        (folder / "NOTES.md").write_text("former")
    replace = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == ".release.part":
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), appearing_folder(tmp_path / "release") as folder:
        (folder / "NOTES.md").write_text("new")

    assert (tmp_path / "release" / "NOTES.md").read_text() == "former"
    assert [each.name for each in tmp_path.iterdir()] == ["release"]


def test_the_task_names_each_asset(
    ready: Ready, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "Project", lambda: ready.project)

    cli.release("", key="", with_secrets=True, tagged=False, progress=Progress())

    said = capsys.readouterr().err
    size = f"{ready.ova.stat().st_size:,}"
    assert f"{size} toip.ova\n" in said
    assert "toip.secrets.yml\n" in said
    released = ready.project.dist / "release" / "toip.ova"
    assert hashlib.sha256(released.read_bytes()).hexdigest() in (
        released.with_name("SHA256SUMS").read_text()
    )


def test_what_a_killed_release_left_is_undone(tmp_path: Path) -> None:
    half, former = tmp_path / ".release.part", tmp_path / ".release.former"
    for folder in (half, former):
        folder.mkdir()
        (folder / "NOTES.md").write_text(folder.name)

    with pytest.raises(RuntimeError), appearing_folder(tmp_path / "release"):
        raise RuntimeError

    assert (tmp_path / "release" / "NOTES.md").read_text() == former.name
    assert [each.name for each in tmp_path.iterdir()] == ["release"]
