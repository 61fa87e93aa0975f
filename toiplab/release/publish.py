"""``dist/release/``: all that is published of a version, laid out complete or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from toiplab import files, manifest
from toiplab.release import gate, notes_page, sbom, signing
from toiplab.release.gate import Proven
from toiplab.release.signing import Key

SUMS = "SHA256SUMS"
NOTES = "RELEASE_NOTES.md"


@dataclass(frozen=True)
class Layout:
    """What a release holds besides what must be there; ``key`` signs the sums."""

    key: Key | None = None
    with_secrets: bool = False


def publish(proven: Proven, layout: Layout, folder: Path) -> tuple[Path, ...]:
    """Lay a release out in ``folder``, in place of a former one; its files, sorted.

    Raises:
        ToipLabError: an asset is too large, or cannot be signed.
        OSError: the disk is full; with the file's name.
    """
    with appearing_folder(folder) as beside:
        lay_out(proven, layout, beside)
        for asset in beside.iterdir():
            gate.check_size(asset)
        sums = beside / SUMS
        sums.write_text(listing(beside), encoding="utf-8")
        if layout.key:
            signing.sign(sums, layout.key)
    return tuple(sorted(folder.iterdir()))


def lay_out(proven: Proven, layout: Layout, folder: Path) -> None:
    """Write every asset but the sums, which are of all others.

    The hand-out has the secrets of each phone: it goes with the secrets, where there is one.
    """
    ova, stem = proven.path, proven.path.stem
    shutil.copyfile(ova, folder / ova.name)
    shutil.copyfile(manifest.path_for(ova), folder / manifest.path_for(ova).name)
    sbom.write(proven, folder / f"{stem}.cdx.json")
    pack_report(proven, folder / f"{stem}.exam.zip")
    if layout.with_secrets:
        write_secrets(proven, folder / f"{stem}.secrets.yml")
        for handout in handouts(ova):
            shutil.copyfile(handout, folder / handout.name)
    text = notes_page.render(proven, layout.key, assets=sorted(folder.iterdir()), sums=SUMS)
    (folder / NOTES).write_text(text, encoding="utf-8")


def handouts(ova: Path) -> list[Path]:
    """The hand-outs that lie beside an OVA."""
    return sorted(ova.parent.glob(f"{glob.escape(ova.stem)}.handout.*"))


def pack_report(proven: Proven, path: Path) -> None:
    """Put the exam's report, which opens in any browser, into one file with its JUnit results.

    The captures stay here: in them are the PINs that the phones dialled.
    """
    began = proven.exam.began.timetuple()[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (proven.results.page, proven.results.junit, proven.results.record):
            member = zipfile.ZipInfo(f"{path.stem}/{file.name}", began)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, file.read_bytes())


def write_secrets(proven: Proven, path: Path) -> None:
    """Write what one needs to use the machine and its phones; nothing of other labs' numbers."""
    kept = proven.candidate.secrets
    text = f"# The secrets of {proven.path.name}. They are public with it.\n"
    text += yaml.safe_dump(kept.model_dump(exclude={"salt"}), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def listing(folder: Path) -> str:
    """The sums of a folder's files, as ``sha256sum --check`` reads them."""
    names = sorted(path.name for path in folder.iterdir())
    return "".join(f"{files.sha256(folder / name)}  {name}\n" for name in names)


def _recover(path: Path, beside: Path, former: Path) -> None:
    """Remove a half, and the former one, unless that was moved away and nothing came after it."""
    shutil.rmtree(beside, ignore_errors=True)
    if former.exists() and not path.exists():
        former.replace(path)
    shutil.rmtree(former, ignore_errors=True)


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """Give a folder beside ``path`` to fill; it takes ``path``'s place if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside, former = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.former")
    _recover(path, beside, former)
    beside.mkdir()
    try:
        yield beside
        for file in beside.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        if path.exists():
            path.replace(former)
        beside.replace(path)
    finally:
        _recover(path, beside, former)
