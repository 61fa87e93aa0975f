"""Two OVAs that differ in one thing: it is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tests.image.filesystem import EPOCH, make_ext4
from tests.release.appliance import Appliance
from toiplab import host
from toiplab.compare import Difference
from toiplab.errors import ToipLabError
from toiplab.image.disk import MIB
from toiplab.image.ext4 import Image
from toiplab.progress import Progress
from toiplab.release import differences

QUIET = Progress(Console(quiet=True))


def found(tmp_path: Path, change: Callable[[Appliance], object]) -> tuple[Difference, ...]:
    first, second = Appliance.of(tmp_path / "tree 1"), Appliance.of(tmp_path / "tree 2")
    change(second)
    (tmp_path / "work").mkdir()
    return differences.between(
        first.pack(tmp_path / "1"),
        second.pack(tmp_path / "2"),
        work=tmp_path / "work",
        progress=QUIET,
    )


def write(name: str, content: bytes) -> Callable[[Appliance], object]:
    return lambda it: (it.tree / name).write_bytes(content)


def relink(it: Appliance) -> None:
    (it.tree / "etc/link").unlink()
    (it.tree / "etc/link").symlink_to("shadow")


CHANGES = {
    "content": (write("etc/hostname", b"piot\n"), {("content", "/etc/hostname")}),
    "a name with a space": (
        write("etc/with a space", b"y" * 9000),
        {("content", "/etc/with a space")},
    ),
    "behind a hole": (
        write("etc/sparse", b"a" + bytes(20000) + b"c"),
        {("content", "/etc/sparse")},
    ),
    "size": (
        write("etc/hostname", b"toip"),
        {("content", "/etc/hostname"), ("size", "/etc/hostname")},
    ),
    "mode": (
        lambda it: (it.tree / "etc/hostname").chmod(0o600),
        {("mode", "/etc/hostname")},
    ),
    "time of modification": (
        lambda it: os.utime(it.tree / "etc/hostname", (EPOCH, EPOCH - 1)),
        {("modified", "/etc/hostname")},
    ),
    "one file more": (
        lambda it: shutil.copy(it.tree / "etc/hostname", it.tree / "etc/hosts"),
        {("file", "/etc/hosts")},
    ),
    "a link's target": (relink, {("target", "/etc/link"), ("size", "/etc/link")}),
    "hardware": (lambda it: setattr(it, "memory", 1024), {("ovf", "line")}),
    "before the file system": (
        lambda it: setattr(it, "boot", b"BURG"),
        {("disk", "MBR and GRUB, before the file system")},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_named(tmp_path: Path, name: str) -> None:
    change, expected = CHANGES[name]
    named = {(each.kind, each.name) for each in found(tmp_path, change)}
    # the descriptor tells the disk's size and uuid: it differs whenever the disk does
    lines = {each for each in named if each[0] == "ovf"}
    assert named - lines == {each for each in expected if each[0] != "ovf"}
    assert lines


def test_all_times_of_a_file_are_told(tmp_path: Path) -> None:
    kinds = {
        (each.kind, each.name)
        for each in found(tmp_path, lambda it: setattr(it, "epoch", EPOCH + 1))
        if each.name == "/etc/hostname"
    }
    assert kinds == {(kind, "/etc/hostname") for kind in ("accessed", "changed", "created")}


def test_the_same_is_no_difference(tmp_path: Path) -> None:
    assert found(tmp_path, lambda it: None) == ()


def test_the_same_files_in_other_places_are_told(tmp_path: Path) -> None:
    pair = [Appliance.of(tmp_path / f"tree {n}").pack(tmp_path / str(n)) for n in (1, 2)]
    image = tmp_path / "2/root.ext4"
    Image(image).ask(["set_super_value mkfs_time 1", "ls /"], write=True)
    for number in (1, 2):
        root_fs = tmp_path / f"{number}/root.ext4"
        (tmp_path / f"{number}.raw").write_bytes(bytes(MIB) + root_fs.read_bytes())

    (told,) = differences.on_disks(tmp_path / "1.raw", tmp_path / "2.raw")

    assert told.kind == "layout"
    assert pair[0].exists()


def test_details_show_the_lines_but_not_what_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(it: Appliance) -> None:
        (it.tree / "etc/hostname").write_text("piot\n")
        (it.tree / "etc/shadow").write_text("root:SECRET:1:::::\n")

    told = found(tmp_path, change)
    monkeypatch.setattr("toiplab.host.which", _without_diffoscope(host.which))
    shown = dict(differences.details(told, tmp_path / "work"))

    assert shown.keys() == {"/etc/hostname", "/etc/shadow"}
    assert "-toip\n+piot" in shown["/etc/hostname"]
    assert "SECRET" not in shown["/etc/shadow"]


def _without_diffoscope(which: Callable[[str], Path | None]) -> Callable[[str], Path | None]:
    return lambda program: None if program == "diffoscope" else which(program)


def test_a_file_that_is_not_there_cannot_be_extracted(tmp_path: Path) -> None:
    tree = Appliance.of(tmp_path / "tree").tree
    image = Image(make_ext4(tree, tmp_path / "root.ext4"))
    with pytest.raises(ToipLabError, match="holds no file /etc/none"):
        image.extract("/etc/none", tmp_path / "none")


def test_images_as_made_are_whole(tmp_path: Path) -> None:
    Appliance.of(tmp_path / "tree").pack(tmp_path / "1")
    e2fsck = host.which("e2fsck") or "e2fsck"
    subprocess.run([e2fsck, "-fn", tmp_path / "1/root.ext4"], check=True)
