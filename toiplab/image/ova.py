"""The OVA: one tar file that holds the OVF descriptor, its manifest and the disk.

DMTF DSP0243 1.1, section 5.3: USTAR, the descriptor first, then the manifest, then the
files in the order of the descriptor's references; or the manifest at the end, where
VirtualBox's own exports have it. We write the first order, which VMware's tools write and
which lets an importer that streams the file check the disk on the way; we read both.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toiplab.errors import ToipLabError
from toiplab.hardware import Hardware
from toiplab.image import ovf_reader, ovf_rules, vmdk_reader
from toiplab.image.files import written_beside
from toiplab.image.vmdk import FILE_NAME

BLOCK = tarfile.BLOCKSIZE
USTAR_SIZE_MAX = (1 << 33) - 1  # eleven octal digits
USTAR_MAGIC = b"ustar\x0000"
MEMBER_MODE = 0o644
TEXT_SIZE_MAX = 1 << 20  # no descriptor and no manifest is larger
COPY_BUFFER = 1 << 20
# "SHA256(file)= hex" is what VMware wants; VirtualBox writes "SHA1 (file) = hex".
MANIFEST_LINE = re.compile(r"(SHA1|SHA256) ?\((.+)\) ?= ?([0-9a-f]+)")
END_SIZE_MAX = 20 * BLOCK  # tar(1) fills its last record of 20 blocks with zeros

Digests = dict[str, tuple[str, str]]  # file name -> algorithm, hexadecimal digest


@dataclass(frozen=True)
class Member:
    """A file in an OVA: where its bytes are, in bytes from the OVA's beginning."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Ova:
    """An OVA whose descriptor has been read; ``verify`` checks all the rest."""

    path: Path
    descriptor: ovf_reader.Descriptor
    members: tuple[Member, ...]

    @property
    def hardware(self) -> Hardware:
        """What the descriptor asks a hypervisor to give."""
        return self.descriptor.hardware

    @property
    def disk(self) -> Member:
        """The disk's VMDK within the OVA."""
        return next(
            member for member in self.members if member.name == self.descriptor.disk.file_name
        )

    def backing(self) -> str:
        """The shipped disk as a name for QEMU, to be the backing file of an overlay.

        QEMU reads the VMDK where it lies in the OVA, so that the machine boots the very
        bytes that ship: ``qemu-img create -f qcow2 -F vmdk -b <backing> overlay.qcow2``.
        It is a ``json:`` pseudo-protocol name, qemu(1), of a ``raw`` node with an offset.
        """
        file = {"driver": "file", "filename": str(self.path.resolve())}
        window = {
            "driver": "raw",
            "offset": self.disk.offset,
            "size": self.disk.size,
            "file": file,
        }
        return "json:" + json.dumps({"driver": "vmdk", "file": window})

    def extract_disk(self, destination: Path) -> None:
        """Copy the VMDK out of the OVA.

        Raises:
            ToipLabError: a file cannot be read or written.
        """
        with self.path.open("rb") as source, written_beside(destination) as out:
            out.writelines(_content(source, self.disk))

    def verify(self) -> None:
        """Check every file against the manifest, the descriptor's rules, and every grain.

        The disk is read before its digest is compared: its reader can tell the place.

        Raises:
            ToipLabError: naming the file and what is wrong in it.
        """
        manifest = next((m for m in self.members if m.name.endswith(".mf")), None)
        if manifest is None:
            raise _broken(self.path, "it has no manifest (.mf)")
        ovf, others = self.members[0], [m for m in self.members[1:] if m is not manifest]
        with self.path.open("rb") as file:
            digests = _parse_manifest(self.path, manifest.name, _read(file, manifest))
            if sorted(digests) != sorted(member.name for member in (ovf, *others)):
                raise _broken(self.path, f"{manifest.name} does not list exactly its files")
            self._compare(file, ovf, manifest, digests)
            ovf_rules.check(
                _read(file, ovf),
                source=f"{self.path}: {ovf.name}",
                names=[member.name for member in others],
            )
            self._verify_disk()
            for member in others:
                self._compare(file, member, manifest, digests)

    def _verify_disk(self) -> None:
        info = vmdk_reader.verify(self.path, offset=self.disk.offset, size=self.disk.size)
        capacity = self.descriptor.disk.capacity
        if info.capacity != capacity:
            raise _broken(
                self.path, f"the disk holds {info.capacity} bytes, the OVF says {capacity}"
            )

    def _compare(self, file: BinaryIO, member: Member, manifest: Member, digests: Digests) -> None:
        algorithm, expected = digests[member.name]
        digest = hashlib.new(algorithm)
        for data in _content(file, member):
            digest.update(data)
        if digest.hexdigest() != expected:
            raise _broken(
                self.path, f"{member.name} does not have the {algorithm} of {manifest.name}"
            )


def write(path: Path, *, descriptor: bytes, disk: Path) -> Ova:
    """Write an OVA: the descriptor, its manifest (SHA-256), the disk.

    The bytes depend on the arguments' content and the names alone: times, owners and
    modes are fixed. The descriptor and the manifest are named after the OVA, the disk as
    the descriptor refers to it.

    Args:
        path: the OVA to make.
        descriptor: what ``ovf.write`` made for this disk.
        disk: the streamOptimized VMDK.

    Raises:
        ToipLabError: the disk is not the one the descriptor speaks of, a name does not
            fit, or a file cannot be read or written.
    """
    described = ovf_reader.read(descriptor, source=f"{path.stem}.ovf")
    ovf_rules.check(descriptor, source=f"{path.stem}.ovf", names=[described.disk.file_name])
    size = disk.stat().st_size
    if described.disk.size not in (None, size):
        raise ToipLabError(
            f"{disk}: {size} bytes, but its OVF descriptor says {described.disk.size}"
        )
    if size > USTAR_SIZE_MAX:
        raise ToipLabError(f"{disk}: {size} bytes, an OVA holds files up to {USTAR_SIZE_MAX}")
    names = tuple(f"{path.stem}.{suffix}" for suffix in ("ovf", "mf"))
    for name in (*names, described.disk.file_name):
        if not FILE_NAME.fullmatch(name) or len(name) > tarfile.LENGTH_NAME:
            raise ToipLabError(
                f"{path}: {name!r} cannot be a file's name in an OVA",
                hint="use up to 100 letters, digits, dots, dashes and underscores",
            )
    ovf_name, mf_name = names
    with written_beside(path) as out:
        ovf_member = _add(out, ovf_name, descriptor)
        # The disk's digest is known once it has been copied; its line has a fixed length.
        mf_member = _add(out, mf_name, _manifest(ovf_name, descriptor, described, "0" * 64))
        out.write(_tar_header(described.disk.file_name, size))
        disk_member = Member(described.disk.file_name, out.tell(), size)
        digest = hashlib.sha256()
        with disk.open("rb") as source:
            for data in _content(source, Member(disk.name, 0, size)):
                digest.update(data)
                out.write(data)
        out.write(bytes(-size % BLOCK))
        out.write(bytes(2 * BLOCK))
        out.seek(mf_member.offset)
        out.write(_manifest(ovf_name, descriptor, described, digest.hexdigest()))
    return Ova(path, described, (ovf_member, mf_member, disk_member))


def _manifest(
    ovf_name: str, descriptor: bytes, described: ovf_reader.Descriptor, disk_digest: str
) -> bytes:
    ovf_digest = hashlib.sha256(descriptor).hexdigest()
    return (
        f"SHA256({ovf_name})= {ovf_digest}\nSHA256({described.disk.file_name})= {disk_digest}\n"
    ).encode()


def _tar_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, MEMBER_MODE
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _add(out: BinaryIO, name: str, content: bytes) -> Member:
    out.write(_tar_header(name, len(content)))
    member = Member(name, out.tell(), len(content))
    out.write(content + bytes(-len(content) % BLOCK))
    return member


def open_ova(path: Path) -> Ova:
    """Read an OVA's table of contents and its descriptor; the disk is not read.

    Raises:
        ToipLabError: the file is no OVA, is truncated, or its descriptor is malformed.
    """
    try:
        with path.open("rb") as file:
            members = _members(path, file)
            ovf = members[0]
            text = _read(file, ovf)
    except OSError as error:
        raise ToipLabError(f"{path}: cannot be read: {error.strerror}") from error
    descriptor = ovf_reader.read(text, source=f"{path}: {ovf.name}")
    disk = next((m for m in members if m.name == descriptor.disk.file_name), None)
    if disk is None:
        raise _broken(path, f"it does not hold the disk {descriptor.disk.file_name!r}")
    if descriptor.disk.size not in (None, disk.size):
        raise _broken(
            path, f"{disk.name} has {disk.size} bytes, the OVF says {descriptor.disk.size}"
        )
    return Ova(path, descriptor, members)


def _members(path: Path, file: BinaryIO) -> tuple[Member, ...]:
    """The files in the tar, whose format and order are checked on the way."""
    end = path.stat().st_size
    members: list[Member] = []
    offset = 0
    while True:
        file.seek(offset)
        block = file.read(BLOCK)
        if not any(block):  # two blocks of zeros, or none at all as VirtualBox ends its own
            break
        if len(block) < BLOCK:
            raise _broken(path, f"truncated: half a tar header at byte {offset}")
        member = _member(path, block, offset)
        members.append(member)
        offset = member.offset + -(-member.size // BLOCK) * BLOCK
        if offset > end:
            raise _broken(
                path, f"truncated: {member.name} ends at byte {offset}, the file at {end}"
            )
        file.seek(member.offset + member.size)
        if any(file.read(offset - member.offset - member.size)):
            raise _broken(path, f"{member.name} is not followed by zeros, up to byte {offset}")
    if block and (end - offset > END_SIZE_MAX or any(file.read())):
        raise _broken(path, f"something follows its end, at byte {offset}")
    suffixes = [member.name.rpartition(".")[2] for member in members]
    if suffixes[:1] != ["ovf"]:
        raise _broken(path, "its first file is not an OVF descriptor")
    if "mf" in suffixes and suffixes.index("mf") not in (1, len(suffixes) - 1):
        raise _broken(path, "its manifest is neither second nor last")
    if len({member.name for member in members}) != len(members):
        raise _broken(path, "two of its files have the same name")
    if any(m.size > TEXT_SIZE_MAX for m in members if m.name.endswith((".ovf", ".mf"))):
        raise _broken(path, f"a descriptor or manifest of more than {TEXT_SIZE_MAX} bytes")
    return tuple(members)


def _member(path: Path, block: bytes, offset: int) -> Member:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise _broken(path, f"no tar header at byte {offset}") from None
    # VirtualBox refuses PAX and knows little of GNU's extensions.
    if info.size < 0:
        raise _broken(path, f"{info.name} at byte {offset} has a size of {info.size}")
    if block[257:265] != USTAR_MAGIC or not info.isreg():
        raise _broken(path, f"{info.name} at byte {offset} is not a plain file of a USTAR archive")
    return Member(info.name, offset + BLOCK, info.size)


def _parse_manifest(path: Path, name: str, text: bytes) -> Digests:
    digests: Digests = {}
    for number, line in enumerate(text.decode(errors="replace").splitlines(), start=1):
        found = MANIFEST_LINE.fullmatch(line)
        if not found:
            raise _broken(path, f"line {number} of {name} is not SHA256(file)= digest")
        if found[2] in digests:
            raise _broken(path, f"line {number} of {name} lists {found[2]} again")
        digests[found[2]] = (found[1], found[3])
    return digests


def _read(file: BinaryIO, member: Member) -> bytes:
    return b"".join(_content(file, member))


def _content(file: BinaryIO, member: Member) -> Iterator[bytes]:
    file.seek(member.offset)
    left = member.size
    while left:
        data = file.read(min(COPY_BUFFER, left))
        if not data:
            raise ToipLabError(f"{file.name}: truncated: {member.name} lacks {left} bytes")
        left -= len(data)
        yield data


def _broken(path: Path, what: str) -> ToipLabError:
    return ToipLabError(f"{path}: broken OVA: {what}", hint="build or download the file again")
