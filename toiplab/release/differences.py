"""Where two OVAs differ: in which file of the image, on the disk, in their descriptors."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from toiplab import host
from toiplab.compare import ABSENT, Difference
from toiplab.image import vmdk_reader
from toiplab.image.disk import MIB
from toiplab.image.ext4 import File, Image
from toiplab.image.ova import Ova, open_ova
from toiplab.progress import Progress

BUFFER = 1 << 20
SHOWN_DIGITS = 16  # of a file's SHA-256
EXPLAINED = 5  # files that diffoscope is asked about: as many as a person reads
REPORT_SIZE = 8000  # bytes of what it says about each


def between(first: Path, second: Path, *, work: Path, progress: Progress) -> tuple[Difference, ...]:
    """All that differs between two OVAs of toip-lab; nothing when their bytes are the same.

    Args:
        first: an OVA.
        second: another one.
        work: an empty folder with room for both disks; they are left there.
        progress: where the reading is shown.

    Raises:
        ToipLabError: one of them cannot be read.
    """
    at = first_difference(first, second)
    if at is None:
        return ()
    opened = (open_ova(first), open_ova(second))
    disks = disks_in(work)
    for ova, disk in zip(opened, disks, strict=True):
        with progress.step(f"Read the disk of {ova.path}"):
            vmdk_reader.extract(ova.path, disk, offset=ova.disk.offset, size=ova.disk.size)
    with progress.step("Compare the disks, file by file"):
        found = [*on_disks(*disks), *_in_descriptors(*opened)]
    return tuple(found) or (Difference("ova", f"from byte {at} on", "", "not the same"),)


def disks_in(work: Path) -> tuple[Path, Path]:
    """The raw disks that ``between`` left."""
    return work / "first.raw", work / "second.raw"


def first_difference(first: Path, second: Path) -> int | None:
    """The first byte at which two files differ; None when they are the same."""
    at = 0
    with first.open("rb") as one, second.open("rb") as other:
        while True:
            pair = one.read(BUFFER), other.read(BUFFER)
            if pair[0] != pair[1]:
                return at + next(i for i, (a, b) in enumerate(zip_longest(*pair)) if a != b)
            if not pair[0]:
                return None
            at += BUFFER


def on_disks(first: Path, second: Path) -> Iterator[Difference]:
    """What differs between two raw disks; the file system's own tables if nothing else does.

    Raises:
        ToipLabError: there is no ext4 file system in the first partition.
    """
    at = first_difference(first, second)
    if at is None:
        return
    if at < MIB:
        yield Difference("disk", "MBR and GRUB, before the file system", "", f"from byte {at} on")
    found = list(in_files(Image(first, MIB).files(), Image(second, MIB).files()))
    yield from found
    if not found and at >= MIB:
        where = f"byte {at - MIB} of the file system"
        yield Difference("layout", where, "", "the same files, not in the same places")


def in_files(first: dict[str, File], second: dict[str, File]) -> Iterator[Difference]:
    """What differs between the files of two images: one line for each file and fact."""
    for path in sorted(first.keys() | second.keys()):
        one, other = first.get(path), second.get(path)
        if one is None or other is None:
            yield Difference("file", path, *("there" if each else ABSENT for each in (one, other)))
            continue
        if one.content != other.content:
            pair = (each.content[:SHOWN_DIGITS] for each in (one, other))
            yield Difference("content", path, *pair)
        for word in sorted(one.facts.keys() | other.facts.keys()):
            facts = one.facts.get(word, ABSENT), other.facts.get(word, ABSENT)
            if facts[0] != facts[1]:
                yield Difference(word, path, *facts)


def _in_descriptors(first: Ova, second: Ova) -> Iterator[Difference]:
    names = [[member.name for member in ova.members] for ova in (first, second)]
    if names[0] != names[1]:
        yield Difference("ova", "names of its files", *(" ".join(each) for each in names))
    texts = [_descriptor(ova) for ova in (first, second)]
    for number, (one, other) in enumerate(zip_longest(*texts, fillvalue=ABSENT), start=1):
        if one != other:
            yield Difference("ovf", f"line {number}", one.strip(), other.strip())


def _descriptor(ova: Ova) -> list[str]:
    member = ova.members[0]
    with ova.path.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size).decode(errors="replace").splitlines()


def details(found: Sequence[Difference], work: Path) -> Iterator[tuple[str, str]]:
    """For the first files whose content differs: their path, and how they differ.

    diffoscope(1) tells it where it is installed; else the lines of text files. What not
    everybody may read on the appliance, since secrets are in it, is not shown.
    """
    paths = [each.name for each in found if each.kind == "content"][:EXPLAINED]
    disks = [Image(disk, MIB) for disk in disks_in(work)]
    for number, path in enumerate(paths):
        if not all(disk.is_public(path) for disk in disks):
            yield path, "not everybody may read it: not shown"
            continue
        pair = [work / f"{number}-{side}-{Path(path).name}" for side in ("first", "second")]
        for disk, target in zip(disks, pair, strict=True):
            disk.extract(path, target)
        yield path, _how(*pair)


def _how(first: Path, second: Path) -> str:
    if host.which("diffoscope"):
        options = ("--no-progress", "--text", "-", "--max-text-report-size", str(REPORT_SIZE))
        return host.run(["diffoscope", *options, first, second], check=False).output
    texts = [path.read_bytes() for path in (first, second)]
    if any(b"\0" in text for text in texts):
        return "binary; diffoscope, once installed, tells more"
    one, other = (text.decode(errors="replace").splitlines() for text in texts)
    return "\n".join(difflib.unified_diff(one, other, "first", "second", n=0, lineterm=""))
