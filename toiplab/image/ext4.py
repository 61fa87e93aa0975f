"""What an ext4 image holds, read without mounting it: debugfs(8) tells, of e2fsprogs.

The image may lie inside a disk: everything takes the byte at which it begins.
"""

from __future__ import annotations

import hashlib
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toiplab import host
from toiplab.errors import ToipLabError

ROOT_INODE = 2  # Linux, Documentation/filesystems/ext4: special inodes
BLOCK = 4096  # of scripts/mke2fs.conf
COPY_BUFFER = 1 << 20

PROMPT = "debugfs: "
# "ls -p": /inode/mode/owner/group/name/size/
ENTRY = re.compile(r"^/(\d+)/(\d{6})/\d+/\d+/(.*)/\d*/$", re.MULTILINE)
FOLDER = "04"  # how a folder's mode begins
# "(first-last):where", logical and physical blocks; one of the tree itself begins with ETB.
EXTENT = re.compile(r"\((\d+)(?:-(\d+))?\):(\d+)(?:-\d+)?")
FACTS = {
    "type": re.compile(r"Type: (\w+)"),
    "mode": re.compile(r"Mode: +(\d+)"),
    "owner": re.compile(r"User: +(\d+)"),
    "group": re.compile(r"Group: +(\d+)"),
    "size": re.compile(r"Size: (\d+)"),
    "links": re.compile(r"^Links: (\d+)", re.MULTILINE),
    "modified": re.compile(r"^ *mtime: 0x(\w+:?\w*)", re.MULTILINE),
    "accessed": re.compile(r"^ *atime: 0x(\w+:?\w*)", re.MULTILINE),
    "changed": re.compile(r"^ *ctime: 0x(\w+:?\w*)", re.MULTILINE),
    "created": re.compile(r"^ *crtime: 0x(\w+:?\w*)", re.MULTILINE),
    "target": re.compile(r'^Fast link dest: "(.*)"', re.MULTILINE),
    "device": re.compile(r"^Device major/minor number: (.*)", re.MULTILINE),
    "attributes": re.compile(r"^Extended attributes:\n((?:  .*\n)+)", re.MULTILINE),
}


@dataclass(frozen=True)
class Entry:
    """A name in an image: its path from the root, such as ``/etc/fstab``."""

    path: str
    inode: int
    is_folder: bool


@dataclass(frozen=True)
class File:
    """A file, folder or link: what its inode says, by a word for each, and its SHA-256."""

    facts: dict[str, str]
    content: str


@dataclass(frozen=True)
class Image:
    """An ext4 file system that begins at byte ``offset`` of the file ``path``."""

    path: Path
    offset: int = 0

    def ask(self, commands: Iterable[str], *, write: bool = False, epoch: int = 0) -> list[str]:
        """Run debugfs commands and return what each printed.

        With ``write`` they may change the image; debugfs then believes that it is
        ``epoch``, in seconds since 1970.

        Raises:
            ToipLabError: debugfs could not open the image.
        """
        given = list(commands)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".debugfs") as script:
            script.writelines(f"{command}\n" for command in given)
            script.flush()
            said = host.run(
                ["debugfs", *(["-w"] if write else []), "-f", script.name, self._name()],
                env={"LC_ALL": "C.UTF-8", "E2FSPROGS_FAKE_TIME": str(epoch)},
            ).output
        # Each command is echoed before its answer.
        answers = re.split(f"^{PROMPT}.*\n", said, flags=re.MULTILINE)[1:]
        if len(answers) != len(given) or not any(answers):
            # its status is 0 whatever has failed
            raise ToipLabError(
                f"{self.path}: debugfs does not read it as ext4",
                hint=f"see what it says: debugfs -R 'ls /' '{self._name()}'",
            )
        return answers

    def entries(self) -> Iterator[Entry]:
        """All names in the image, folder by folder; the root itself is ``/``.

        Raises:
            ToipLabError: it is no ext4 file system.
        """
        folders = [Entry("/", ROOT_INODE, is_folder=True)]
        yield from folders
        while folders:
            answers = self.ask(f"ls -p <{folder.inode}>" for folder in folders)
            found = [
                Entry(f"{folder.path.rstrip('/')}/{name}", int(inode), mode.startswith(FOLDER))
                for folder, answer in zip(folders, answers, strict=True)
                for inode, mode, name in ENTRY.findall(answer)
                if name not in (".", "..") and inode != "0"
            ]
            yield from found
            folders = [entry for entry in found if entry.is_folder]

    def files(self) -> dict[str, File]:
        """Every file by its path, with what its inode says and what it holds.

        Raises:
            ToipLabError: it is no ext4 file system, or cannot be read.
        """
        entries = list(self.entries())
        answers = self.ask(f"stat <{entry.inode}>" for entry in entries)
        with self.path.open("rb") as disk:
            return {
                entry.path: File(
                    {
                        word: found[1]
                        for word, fact in FACTS.items()
                        if (found := fact.search(said))
                    },
                    "" if entry.is_folder else self._digest(disk, said),
                )
                for entry, said in zip(entries, answers, strict=True)
            }

    def is_public(self, path: str) -> bool:
        """Whether everybody on the appliance may read a file."""
        mode = FACTS["mode"].search(self.ask([f'stat "{path}"'])[0])
        return mode is not None and bool(int(mode[1], 8) & stat.S_IROTH)

    def extract(self, path: str, target: Path) -> None:
        """Copy a file out of the image.

        Raises:
            ToipLabError: there is no such file.
        """
        self.ask([f'dump "{path}" "{target}"', "ls /"])
        if not target.exists():
            raise ToipLabError(f"{self.path}: it holds no file {path}")

    def drop_free_blocks(self, log: Path) -> None:
        """Make holes of all blocks that no file has: what was deleted then costs nothing.

        e2fsck(8) checks the file system on the way, which must not be mounted.

        Raises:
            ToipLabError: it is damaged, or no ext4 file system; the log says more.
        """
        argv = ["e2fsck", "-f", "-p", "-E", "discard", self._name()]
        env = {"LC_ALL": "C.UTF-8"}
        if host.run(argv, env=env, log=log, well=(0, 1)).status == 1:
            host.run(argv, env=env, log=log)  # where it mended something, it discarded nothing

    def _digest(self, disk: BinaryIO, said: str) -> str:
        _, _, listed = said.partition("EXTENTS:\n")
        size = int((FACTS["size"].search(said) or "00")[1])
        digest = hashlib.sha256()
        following = 0
        for first, last, block in EXTENT.findall(listed):
            if int(first) != following:
                digest.update(f"hole up to {first}".encode())
            following = int(last or first) + 1
            left = min((following - int(first)) * BLOCK, size - int(first) * BLOCK)
            disk.seek(self.offset + int(block) * BLOCK)
            while left > 0:
                data = disk.read(min(left, COPY_BUFFER))
                digest.update(data)
                left -= len(data) or left
        return digest.hexdigest()

    def _name(self) -> str:
        """As e2fsprogs' own unix I/O manager takes it."""
        return f"{self.path}?offset={self.offset}" if self.offset else str(self.path)
