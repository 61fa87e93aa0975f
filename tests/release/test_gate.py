"""What is refused at the gate, each with its exact message; and that nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.release.conftest import Ready
from toiplab import __version__, manifest
from toiplab.errors import ToipLabError
from toiplab.lab import secrets
from toiplab.release import gate

OTHER = "ab" * 32


def test_what_was_proved_is_let_through(ready: Ready) -> None:
    ready.git("tag", f"v{__version__}")

    proven = ready.check(tagged=True)

    assert (proven.path, proven.version) == (ready.ova, __version__)
    assert proven.commit == ready.git("rev-parse", "HEAD").strip()
    assert (proven.notes.name, proven.notes.text) == (__version__, "- Phones that ring.")
    assert proven.exam.passed == 103


def changed_file(ready: Ready) -> None:
    (ready.project.top / "CHANGELOG.md").write_text("# Changelog\n")


def unknown_files(ready: Ready) -> None:
    for name in ("a", "b", "c", "d e"):
        (ready.project.top / name).touch()


def no_checkout(ready: Ready) -> None:
    (ready.project.top / ".git").rename(ready.project.top / "gone")


def no_section(ready: Ready) -> None:
    changed_file(ready)
    ready.git("commit", "--quiet", "--all", "--message", "Empty")


def empty_section(ready: Ready) -> None:
    text = f"# Changelog\n\n## [Unreleased]\n\n## [{__version__}] - 2026-11-28\n"
    (ready.project.top / "CHANGELOG.md").write_text(text)
    ready.git("commit", "--quiet", "--all", "--message", "Empty")


def too_large(ready: Ready) -> None:
    os.truncate(ready.ova, 2 << 30)


def no_ova(ready: Ready) -> None:
    ready.ova.unlink()


def no_manifest(ready: Ready) -> None:
    manifest.path_for(ready.ova).unlink()


def truncated_manifest(ready: Ready) -> None:
    os.truncate(manifest.path_for(ready.ova), 30)


def altered_manifest(ready: Ready) -> None:
    path = manifest.path_for(ready.ova)
    path.write_text(path.read_text().replace("1:16.28.0~dfsg", "1:16.28.1~dfsg"))


def stale(ready: Ready) -> None:
    ready.change_manifest(inputs_sha256=OTHER)


def secrets_renewed(ready: Ready) -> None:
    secrets.path_for(ready.lab_file).unlink()
    manifest_of_now = manifest.read(ready.ova)
    gate.Request.read(ready.lab_file, project=ready.project)
    manifest.write(manifest_of_now, ready.ova)


def no_exam(ready: Ready) -> None:
    ready.results.record.unlink()


def damaged_record(ready: Ready) -> None:
    ready.results.record.write_text('{"ova": 1}')


def report_touched(ready: Ready) -> None:
    ready.results.page.write_text("<p>all is well")


def truncated_ova(ready: Ready) -> None:
    os.truncate(ready.ova, 5000)


def altered_ova(ready: Ready) -> None:
    """In a time that no importer looks at: what the OVA's own manifest does not cover."""
    content = bytearray(ready.ova.read_bytes())
    content[136:148] = b"00000000001\0"  # the time in the first tar header
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    ready.ova.write_bytes(content)


def altered_disk(ready: Ready) -> None:
    content = bytearray(ready.ova.read_bytes())
    content[len(content) // 2] ^= 0xFF
    ready.ova.write_bytes(content)


def exam(**changes: object) -> Callable[[Ready], None]:
    return lambda ready: ready.examined(**changes)


AGAIN = "examine it: make smoke OVA=dist/toip.ova"
RECORD = "{top}/build/report/exam.json"
MANIFEST = "{top}/dist/toip.manifest.json"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            changed_file,
            "{top}: not as it was committed: CHANGELOG.md\n"
            "  commit it, or put it aside with git stash --include-untracked",
        ),
        (
            unknown_files,
            "{top}: not as it was committed: a, b, c and 1 more\n"
            "  commit it, or put it aside with git stash --include-untracked",
        ),
        (
            no_section,
            "{top}/CHANGELOG.md: no section for version {version}\n"
            "  write one below a heading ## [{version}] - YYYY-MM-DD",
        ),
        (
            empty_section,
            "{top}/CHANGELOG.md: the section [{version}] says nothing\n"
            "  write what changed: it becomes the release notes",
        ),
        (
            too_large,
            "{top}/dist/toip.ova: 2147483648 bytes; a release takes files of less than "
            "2 GiB (2147483648)\n"
            "  a smaller OVA: invoke build-ova --compress best, or a lab without a desktop",
        ),
        (
            no_ova,
            "{top}/dist/toip.ova: no such file\n  the builds are in dist/; make ova makes one",
        ),
        (
            no_manifest,
            MANIFEST + ": No such file or directory\n"
            "  the build writes it beside the OVA; keep the two together",
        ),
        (
            stale,
            "{top}/dist/toip.ova: not what this checkout builds: the lab, its secrets or the "
            "recipe have changed since\n  build and examine again: make ova, then make smoke",
        ),
        (
            secrets_renewed,
            "{top}/dist/toip.ova: not what this checkout builds: the lab, its "
            "secrets or the recipe have changed since\n"
            "  build and examine again: make ova, then make smoke",
        ),
        (no_exam, RECORD + ": there was no exam of toip.ova\n  " + AGAIN),
        (
            damaged_record,
            RECORD + ": ova: Input should be a valid string\n  examine again: make smoke",
        ),
        (
            exam(ova="other.ova", ova_sha256=OTHER),
            RECORD + ": the last exam was of another file: "
            "other.ova, SHA-256 abababababab…, not {sha:.12}…\n  " + AGAIN,
        ),
        (
            exam(failed=1),
            RECORD + ": toip.ova did not pass its exam: 103 passed, 1 failed, "
            "0 could not look, 0 skipped\n  the report says why: {top}/build/report/index.html",
        ),
        (
            exam(errors=2),
            RECORD + ": toip.ova did not pass its exam: 103 passed, 0 failed, "
            "2 could not look, 0 skipped\n  the report says why: {top}/build/report/index.html",
        ),
        (
            exam(passed=0),
            RECORD + ": toip.ova did not pass its exam: 0 passed, 0 failed, "
            "0 could not look, 0 skipped\n  the report says why: {top}/build/report/index.html",
        ),
        (
            exam(whole=False),
            RECORD
            + ": the last exam of toip.ova left something out\n  "
            + AGAIN
            + ", without --quick, --only and --nat-only",
        ),
        (report_touched, "{top}/build/report/index.html: not as it was after the exam\n  " + AGAIN),
        (altered_manifest, MANIFEST + ": not as it was after the exam\n  " + AGAIN),
        (
            altered_ova,
            MANIFEST + ": speaks of another file (SHA-256 {sha})\n  build again: make ova",
        ),
    ],
)
def test_a_refusal(ready: Ready, wrong: Callable[[Ready], None], message: str) -> None:
    sha = manifest.read(ready.ova).ova_sha256
    wrong(ready)

    with pytest.raises(ToipLabError) as refusal:
        ready.check()

    assert str(refusal.value) == message.format(top=ready.project.top, version=__version__, sha=sha)


@pytest.mark.parametrize(
    ("wrong", "begins"),
    [
        (truncated_manifest, MANIFEST + ": the file: Invalid JSON: EOF while parsing"),
        (truncated_ova, "{top}/dist/toip.ova: "),
        (altered_disk, "{top}/dist/toip.ova: broken VMDK at byte "),
        (no_checkout, "git failed with status 128: git -C {top} rev-parse --verify HEAD\n"),
    ],
)
def test_what_is_broken_is_told_with_its_place(
    ready: Ready, wrong: Callable[[Ready], None], begins: str
) -> None:
    wrong(ready)

    with pytest.raises(ToipLabError) as refusal:
        ready.check()

    assert str(refusal.value).startswith(begins.format(top=ready.project.top))


@pytest.mark.parametrize(
    ("tags", "found"), [((), "no tag"), (("v9.9", "wip"), "v9.9, wip")], ids=["none", "others"]
)
def test_a_release_of_a_tag_wants_that_of_its_version(
    ready: Ready, tags: tuple[str, ...], found: str
) -> None:
    for tag in tags:
        ready.git("tag", tag)

    with pytest.raises(ToipLabError) as refusal:
        ready.check(tagged=True)

    assert str(refusal.value) == (
        f"{ready.project.top}: its commit has {found}, and this version is v{__version__}\n"
        f"  git tag v{__version__}, or mend __version__ in toiplab/__init__.py"
    )


def test_secrets_are_never_published_unasked(ready: Ready) -> None:
    with pytest.raises(ToipLabError) as refusal:
        ready.check(with_secrets=False)

    assert str(refusal.value) == (
        f"{ready.ova}: holds secrets of its lab (the administrator's password, the phones' "
        "secrets, the mailboxes' PINs): who has the release has them\n"
        "  --with-secrets publishes them; for one class, or a lab made for the occasion"
    )


def test_an_asset_just_below_the_limit_is_taken(tmp_path: Path) -> None:
    asset = tmp_path / "asset"
    asset.touch()
    os.truncate(asset, (2 << 30) - 1)

    gate.check_size(asset)
