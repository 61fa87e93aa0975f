"""What builds keep for the next: entries named after the hash of what they are made from.

An entry is a folder of files with a seal, the size and SHA-256 of each. It is written beside
its place, flushed, and renamed; one whose files are not as its seal says is removed and never
used. What was not used for longest goes first, once all together are larger than the bound.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from toiplab import files

GIB = 1 << 30
LAYERS_BOUND = 6 * GIB  # some labs' layers, those of one with a desktop included
DEBS_BOUND = 2 * GIB
SEAL = "seal.json"
UNFINISHED = ".part-"


class Sealed(BaseModel):
    """What a file of an entry was when the entry was finished."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    size: int
    sha256: str


class Seal(BaseModel):
    """All files of an entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[Sealed, ...]


def key_of(*parts: str | bytes) -> str:
    """A key: the hash of all parts, each told from its neighbours."""
    hashed = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        hashed.update(hashlib.sha256(content).digest())
    return hashed.hexdigest()


@dataclass(frozen=True)
class Store:
    """Entries in ``folder``, which only its user may read: a lab's secrets are in them.

    ``bound`` is in bytes.
    """

    folder: Path
    bound: int = LAYERS_BOUND

    def find(self, key: str) -> Path | None:
        """The folder of an entry, whole and as it was written; None if there is none.

        A damaged one is removed. Reading it all, this takes half a second for a gigabyte.
        """
        entry = self.folder / key
        if not entry.is_dir():
            return None
        if not _is_whole(entry):
            _remove(entry)
            return None
        os.utime(entry)
        return entry

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """Give an empty folder to fill; it becomes the entry if the block succeeds.

        An entry of that key is replaced. On any failure nothing is left.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder))
        try:
            yield beside
            _seal(beside)
            entry = self.folder / key
            _remove(entry)
            settle(beside, entry)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def evict(self) -> None:
        """Remove what killed builds left unfinished, and what is beyond the bound."""
        if not self.folder.is_dir():
            return
        for left in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        keep_within(self.bound, self.folder.iterdir())


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The layers of a checkout's cache, for one build; all of the cache is in bounds then."""
    store = Store(folder / "layers")
    store.evict()
    try:
        yield store
    finally:
        store.evict()
        keep_within(DEBS_BOUND, (folder / "debs").glob("*.deb"))


def keep_within(bound: int, paths: Iterable[Path]) -> None:
    """Remove files and folders, the one that was not used for longest first.

    What stays is at most ``bound`` bytes in all. The time of a use is the path's mtime.
    """
    newest_first = sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    total = 0
    for path in newest_first:
        size = _size(path)
        if total + size > bound:
            _remove(path)
        else:
            total += size


def _size(path: Path) -> int:
    each = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in each)


def _remove(path: Path) -> None:
    """Remove an entry, its seal first: what is left by an interruption is none."""
    if path.is_dir():
        (path / SEAL).unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def settle(made: Path, entry: Path) -> None:
    """Give a finished entry its place, unless another build was faster."""
    try:
        made.rename(entry)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _seal(folder: Path) -> None:
    """Flush the files of a finished entry and write down what they are."""
    paths = sorted(folder.iterdir())
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    seal = Seal(files=tuple(_sealed(path) for path in paths))
    files.write(folder / SEAL, seal.model_dump_json(indent=1).encode())


def _sealed(path: Path) -> Sealed:
    return Sealed(name=path.name, size=path.stat().st_size, sha256=files.sha256(path))


def _is_whole(entry: Path) -> bool:
    try:
        seal = Seal.model_validate_json((entry / SEAL).read_bytes())
        names = {path.name for path in entry.iterdir()} - {SEAL}
        sizes = all((entry / each.name).stat().st_size == each.size for each in seal.files)
        return (
            sizes
            and names == {each.name for each in seal.files}
            and all(_sealed(entry / each.name) == each for each in seal.files)
        )
    except (OSError, ValidationError):
        return False
