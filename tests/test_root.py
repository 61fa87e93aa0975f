"""The lab's own layer: what the script in the namespace is given, and what is left after it.

A stand-in for mmdebstrap runs its command without a namespace; the script itself is
proved by building an appliance.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from pathlib import Path
from uuid import UUID

import pytest

from toiplab import doctor
from toiplab.builders import root
from toiplab.builders.root import RootFacts, make_filesystem
from toiplab.errors import ToipLabError
from toiplab.host import TEMPORARY

FS_UUID = UUID("12345678-1234-5678-1234-567812345678")
SIZE = 64 << 20

# mmdebstrap --unshare-helper COMMAND…: instead of make-root.sh, $SCRIPT runs, told the same.
MMDEBSTRAP = """#!/bin/bash
set -eu
[ "$1" = --unshare-helper ]; shift
if [ "$1" != bash ]; then exec "$@"; fi
folder=$3 stage=$4 image=$5 facts=$6
ls "$folder" >"$RECORD/folder"
stat -c %a "$folder" >>"$RECORD/folder"
echo "$SOURCE_DATE_EPOCH $FS_UUID" >"$RECORD/environment"
cat >"$RECORD/base"
tar -t <&"$stage" | sort >"$RECORD/stage"
mkdir "$folder/root"
. "$RECORD/script"
"""
GOOD = """
printf ext4 >"/dev/fd/$image"
printf boot >"$RECORD/boot.img"; printf core >"$RECORD/core.img"
tar -c -C "$RECORD" boot.img core.img >&"$facts"
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs, record, temporary = (tmp_path / name for name in ("bin", "record", "tmp"))
    for folder in (programs, record, temporary):
        folder.mkdir()
    (programs / "mmdebstrap").write_text(MMDEBSTRAP)
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(root.host, "working_folder", lambda _: temporary)
    for name in ("stage/overlay/etc/file", "stage/settings", "direct/fstab"):
        (tmp_path / "rendered" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "rendered" / name).write_text(name)
    (tmp_path / "base.tar").write_text("a tar of the system")
    return record


def made(record: Path, script: str) -> RootFacts:
    (record / "script").write_text(script)
    return made_in(record.parent)


def made_in(top: Path) -> RootFacts:
    return make_filesystem(
        top / "root.ext4",
        packages=top / "base.tar",
        stage=top / "rendered",
        size=SIZE,
        uuid=FS_UUID,
        epoch=1662805020,
        log=top / "build.log",
    )


def test_what_goes_in_and_what_comes_out(record: Path) -> None:
    facts = made(record, GOOD)
    image = record.parent / "root.ext4"

    assert facts == RootFacts(b"boot", b"core")
    assert (record / "environment").read_text() == f"1662805020 {FS_UUID}\n"
    assert (record / "base").read_text() == "a tar of the system"
    open_to = "700" if os.geteuid() == 0 else "1777"
    assert (record / "folder").read_text().split() == ["make-root.sh", "mke2fs.conf", open_to]
    assert {"stage/provision.sh", "stage/settings", "direct/fstab"} <= set(
        (record / "stage").read_text().split()
    )
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    assert not list((record.parent / "tmp").iterdir())


def test_the_image_has_its_size_and_takes_no_room(record: Path) -> None:
    """A script that opens it anew may shorten it; mke2fs does not."""
    made(record, GOOD.replace('>"/dev/fd/$image"', '1<>"/dev/fd/$image"'))
    written = (record.parent / "root.ext4").stat()

    assert written.st_size == SIZE
    assert written.st_blocks * 512 < SIZE // 10


def test_a_step_that_fails_is_named_with_the_log_and_leaves_nothing(record: Path) -> None:
    with pytest.raises(ToipLabError) as error:
        made(record, 'echo "mke2fs: no room" >&2; exit 3')

    assert error.value.message.startswith("mmdebstrap failed with status 3: mmdebstrap --unshare-")
    assert "  | mke2fs: no room\n" in error.value.message
    assert error.value.message.endswith(f"  log: {record.parent / 'build.log'}")
    assert not list((record.parent / "tmp").iterdir())


def test_facts_that_are_not_whole_are_an_error(record: Path) -> None:
    with pytest.raises(ToipLabError) as error:
        made(record, GOOD.replace("boot.img core.img", "boot.img"))

    assert str(error.value) == (
        "scripts/make-root.sh left its facts unfinished: \"filename 'core.img' not found\""
    )

    assert not list((record.parent / "tmp").iterdir())


def test_what_a_killed_build_left_is_removed(record: Path) -> None:
    """Its name tells the process that made it; another build's own stays."""
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    left = record.parent / "tmp" / f"{root.WORKSPACE}{ended.pid}-x"
    (left / "root/usr").mkdir(parents=True)
    running = record.parent / "tmp" / f"{root.WORKSPACE}{os.getpid()}-x"
    running.mkdir()

    made(record, GOOD)

    assert list((record.parent / "tmp").iterdir()) == [running]


@pytest.mark.skipif(os.geteuid() == 0, reason="root builds without a user namespace")
def test_what_a_real_namespace_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its root owns the folder it made; the script in it is the user's."""
    if not (able := doctor.direct_builder()).good:
        pytest.skip(able.detail)
    (tmp_path / "base.tar").write_text("no tar")
    for name in ("stage", "direct"):
        (tmp_path / "rendered" / name).mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=TEMPORARY) as temporary:
        Path(temporary).chmod(0o755)
        monkeypatch.setenv("TMPDIR", temporary)

        with pytest.raises(ToipLabError, match="does not look like a tar archive"):
            made_in(tmp_path)

        assert not list(Path(temporary).iterdir())


def test_the_scripts_are_where_they_are_looked_for() -> None:
    for name in (root.SCRIPT, root.MKE2FS_CONF, root.PROVISION):
        assert (root.SCRIPTS / name).is_file()
