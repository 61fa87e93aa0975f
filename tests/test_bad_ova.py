"""A damaged OVA, whoever is given it: one line that says what is broken where, status 2."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from tests import small_ova
from toiplab import cli, manifest, typed
from toiplab.errors import BAD_INPUT, ToipLabError
from toiplab.host import PROJECT
from toiplab.image.ova import Ova, open_ova
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.progress import Progress

HINT = "\n  build or download the file again"
BLOCK = 512


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole OVA that boots nothing, with all that belongs to it."""
    folder = tmp_path_factory.mktemp("whole")
    lab_file = Path(shutil.copy(PROJECT / "labs" / "isi.yml", folder))
    secrets.for_lab(load(lab_file), lab_file)
    return small_ova.make(folder / "toip.ova", lab_file).path


@pytest.fixture
def made(whole: Path, tmp_path: Path) -> Ova:
    """A copy of it, to be damaged."""
    shutil.copy(manifest.path_for(whole), tmp_path)
    return open_ova(Path(shutil.copy(whole, tmp_path)))


def smoke(ova: Path, progress: Progress) -> None:
    options = typed.exam_options(
        lab="", accel="tcg", quick=True, only="", nat_only=False, keep=False
    )
    cli.smoke(str(ova), options, host="", progress=progress)


def boot(ova: Path, progress: Progress) -> None:
    cli.boot(str(ova), accel="tcg", progress=progress)


def compare(ova: Path, progress: Progress) -> None:
    cli.compare(ova, ova, lab="", accel="tcg", progress=progress)


def release(ova: Path, progress: Progress) -> None:
    cli.release(str(ova), key="", with_secrets=True, tagged=False, progress=progress)


Command = Callable[[Path, Progress], None]
Damage = Callable[[bytes, Ova], bytes]


def cut(size: int) -> Damage:
    """Keep so many bytes; a size below 0 counts from the end."""
    return lambda data, _: data[:size]


def cut_in(member: int, at: int) -> Damage:
    """Keep what comes before a place in one of the files: descriptor, manifest, disk."""
    return lambda data, made: data[: made.members[member].offset + at]


def flip(member: int, at: int) -> Damage:
    """Change one bit in one of the files, or (below 0) in its header."""

    def damage(data: bytes, made: Ova) -> bytes:
        place = made.members[member].offset + at
        return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]

    return damage


def edited(old: bytes, new: bytes) -> Damage:
    """Edit the descriptor or the manifest, at the same length."""

    def damage(data: bytes, _: Ova) -> bytes:
        assert old in data
        assert len(old) == len(new)
        return data.replace(old, new, 1)

    return damage


def packed(*names: str, form: int = tarfile.USTAR_FORMAT, **headers: str) -> Damage:
    """The same files in another archive: in that order, in that format."""

    def damage(_: bytes, made: Ova) -> bytes:
        out = io.BytesIO()
        with (
            tarfile.open(made.path) as old,
            tarfile.open(fileobj=out, mode="w", format=form, pax_headers=headers) as new,
        ):
            for name in names:
                new.addfile(old.getmember(name), old.extractfile(name))
        return out.getvalue()

    return damage


def sized(size: int) -> Damage:
    """The first file's header says another size; its checksum is right."""

    def damage(data: bytes, _: Ova) -> bytes:
        header = tarfile.TarInfo.frombuf(data[: tarfile.BLOCKSIZE], "ascii", "strict")
        header.size = size
        said = bytearray(header.tobuf(tarfile.GNU_FORMAT))  # which can write a negative one
        said[257:265] = b"ustar\x0000"
        said[148:155] = b"%06o\0" % tarfile.calc_chksums(bytes(said))[0]
        return bytes(said) + data[tarfile.BLOCKSIZE :]

    return damage


OVF, MF, DISK = "toip.ovf", "toip.mf", "toip-disk1.vmdk"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "empty": (cut(0), "broken OVA: its first file is not an OVF descriptor"),
    "not an archive": (
        lambda _, __: b"<html>404</html>" * 100,
        "broken OVA: no tar header at byte 0",
    ),
    "a size below nothing": (sized(-512), "broken OVA: toip.ovf at byte 0 has a size of -512"),
    "cut in the first header": (
        cut(300),
        "broken OVA: truncated: half a tar header at byte 0",
    ),
    "cut in the descriptor": (
        cut_in(0, 100),
        "broken OVA: truncated: toip.ovf ends at byte {ends[0]}, the file at 612",
    ),
    "cut in the manifest": (
        cut_in(1, 1),
        "broken OVA: truncated: toip.mf ends at byte {ends[1]}, the file at {size}",
    ),
    "cut before the disk": (
        cut_in(2, -BLOCK),
        "broken OVA: it does not hold the disk 'toip-disk1.vmdk'",
    ),
    "cut in the disk's header": (
        cut_in(2, -1),
        "broken OVA: truncated: half a tar header at byte {headers[2]}",
    ),
    "cut in the disk": (
        cut(-3 * BLOCK),
        "broken OVA: truncated: toip-disk1.vmdk ends at byte {ends[2]}, the file at {size}",
    ),
    "another word in the descriptor": (
        edited(b"A virtual machine", b"B virtual machine"),
        "broken OVA: toip.ovf does not have the SHA256 of toip.mf",
    ),
    "a bit of the descriptor's header": (
        flip(0, -BLOCK + 3),
        "broken OVA: no tar header at byte 0",
    ),
    "a bit of the manifest": (
        flip(1, 30),
        "broken OVA: toip.ovf does not have the SHA256 of toip.mf",
    ),
    "a bit of the manifest's header": (
        flip(1, -BLOCK + 130),
        "broken OVA: no tar header at byte {headers[1]}",
    ),
    "a bit of the disk's header": (
        flip(2, -BLOCK + 130),
        "broken OVA: no tar header at byte {headers[2]}",
    ),
    "a bit of the VMDK's header": (
        flip(2, 20),
        "broken VMDK at byte {disk}: the header is not a streamOptimized VMDK's",
    ),
    "another word in the VMDK's descriptor": (
        edited(b'virtualHWVersion = "4"', b'virtualHWVersion = "5"'),
        "broken OVA: toip-disk1.vmdk does not have the SHA256 of toip.mf",
    ),
    "a bit of a grain": (
        flip(2, 128 * BLOCK + 20),
        "broken VMDK at byte {grain}: the grain does not decompress to 64 KiB",
    ),
    "a bit of the end of stream": (
        lambda data, made: flip(2, made.disk.size - 10)(data, made),
        "broken VMDK at byte {end_of_stream}: truncated: no end-of-stream marker",
    ),
    "another memory": (
        edited(b'RAMSize="1024"', b'RAMSize="9024"'),
        "toip.ovf: Memory: RAMSize=9024, the VirtualHardwareSection says 1024",
    ),
    "another forward": (
        edited(b'hostport="2222"', b'hostport="2223"'),
        "broken OVA: toip.ovf does not have the SHA256 of toip.mf",
    ),
    "a manifest of other files": (
        edited(b"SHA256(toip.ovf)", b"SHA256(toip.xml)"),
        "broken OVA: toip.mf does not list exactly its files",
    ),
    "a manifest of another kind": (
        edited(b"SHA256(toip.ovf)", b"SHA512(toip.ovf)"),
        "broken OVA: line 1 of toip.mf is not SHA256(file)= digest",
    ),
    "without a manifest": (packed(OVF, DISK), "broken OVA: it has no manifest (.mf)"),
    "without a descriptor": (
        packed(MF, DISK),
        "broken OVA: its first file is not an OVF descriptor",
    ),
    "the disk first": (
        packed(DISK, OVF, MF),
        "broken OVA: its first file is not an OVF descriptor",
    ),
    "a PAX header": (
        packed(OVF, MF, DISK, form=tarfile.PAX_FORMAT, comment="x"),
        "broken OVA: ././@PaxHeader at byte 0 is not a plain file of a USTAR archive",
    ),
    "GNU's tar": (
        packed(OVF, MF, DISK, form=tarfile.GNU_FORMAT),
        "broken OVA: toip.ovf at byte 0 is not a plain file of a USTAR archive",
    ),
}


def refusal(command: Command, ova: Path) -> str:
    with pytest.raises(Exit) as ended, cli.reporting() as progress:
        command(ova, progress)
    assert ended.value.code == BAD_INPUT
    return str(ended.value.message)


@pytest.mark.parametrize("command", [smoke, boot, compare, release])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ova_is_refused(made: Ova, command: Command, damage: str) -> None:
    change, what = DAMAGES[damage]
    data = change(made.path.read_bytes(), made)
    made.path.write_bytes(data)

    said = refusal(command, made.path)

    what = what.format(
        size=len(data),
        headers=[member.offset - BLOCK for member in made.members],
        ends=[member.offset + -(-member.size // BLOCK) * BLOCK for member in made.members],
        disk=made.disk.offset,
        end_of_stream=made.disk.offset + made.disk.size - BLOCK,
        grain=made.disk.offset + 128 * BLOCK,
    )
    assert said.startswith(f"error: {made.path}: ")
    assert said.removeprefix(f"error: {made.path}: ").partition("\n")[0] == what


MANIFESTS: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda _: "", "the file: Invalid JSON: EOF while parsing a value at line 1 column 0"),
    "cut": (
        lambda text: text[:20],
        "the file: Invalid JSON: EOF while parsing a string at line 2 column 18",
    ),
    "a key that is missing": (
        lambda text: text.replace('"epoch"', '"epoc"'),
        "epoch: Field required",
    ),
    "the name of another OVA": (
        lambda text: text.replace('"toip.ova"', '"tiop.ova"'),
        "speaks of another file (tiop.ova, {size} bytes)",
    ),
    "the size of another OVA": (
        lambda text: text.replace('"ova_bytes": ', '"ova_bytes": 1'),
        "speaks of another file (toip.ova, 1{size} bytes)",
    ),
    "the digest of another OVA": (
        lambda text: re.sub(r'("ova_sha256": )"\w+"', rf'\1"{"ab" * 32}"', text),
        f"speaks of another file (SHA-256 {'ab' * 32})",
    ),
}


@pytest.mark.parametrize("command", [smoke, boot, compare, release])
@pytest.mark.parametrize("damage", MANIFESTS)
def test_a_damaged_build_manifest_is_refused(made: Ova, command: Command, damage: str) -> None:
    change, what = MANIFESTS[damage]
    path = manifest.path_for(made.path)
    path.write_text(change(path.read_text()))

    said = refusal(command, made.path)

    what = what.format(size=made.path.stat().st_size)
    assert said.partition("\n")[0] == f"error: {path}: {what}"


def test_every_byte_counts(made: Ova) -> None:
    """A changed byte is refused wherever it is, headers and fillings included."""
    good = made.path.read_bytes()
    for place in range(0, len(good), 197):
        bad = bytearray(good)
        bad[place] ^= 4
        made.path.write_bytes(bad)
        with pytest.raises(ToipLabError, match=re.escape(f"{made.path}: ")):
            open_ova(made.path).verify()


def test_the_task_itself_ends_with_one_line_and_status_2(made: Ova) -> None:
    made.path.write_bytes(made.path.read_bytes()[:-2000])
    ended = subprocess.run(
        [sys.executable, "-m", "invoke", "boot", "--ova", made.path],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == BAD_INPUT
    line, hint = ended.stderr.splitlines()
    assert line.startswith(f"error: {made.path}: broken OVA: truncated: toip-disk1.vmdk ends at ")
    assert f"\n{hint}" == HINT
