"""The installer's image: fetched once, resumed where it was cut, checked every time."""

from __future__ import annotations

import re
from pathlib import Path

from toiplab import files
from toiplab.builders import apt
from toiplab.builders.contract import Request
from toiplab.errors import ToipLabError
from toiplab.progress import Progress
from toiplab.releases import InstallerIso, Release

SUMS = "SHA256SUMS"
SECTOR = 2048
DESCRIPTOR = 16 * SECTOR  # ISO 9660, section 6.7: where the volume descriptors begin
SAID = re.compile(r"^(?:E|W|Error|Warning): (.*)$", re.MULTILINE)
RETRIES = 5


def provide(request: Request, release: Release, *, log: Path, progress: Progress) -> InstallerIso:
    """The image to boot, as a file on this machine with its SHA-256.

    One that the user names is taken if it is the release's own, or if a SHA256SUMS beside
    it knows it; else the release's is fetched into the cache, unless it is there.

    Raises:
        ToipLabError: it cannot be had, is cut short, or is not what its checksum says.
    """
    if request.iso is not None:
        with progress.step(f"Check {request.iso.name}"):
            check_own(request)
            return _own(request.iso.resolve(), release)
    wanted = release.iso
    cached = request.project.cache.resolve() / "iso" / wanted.name
    if cached.exists():
        with progress.step(f"Check {cached.name}"):
            if files.sha256(cached) == wanted.sha256:
                return InstallerIso(str(cached), wanted.sha256)
            cached.unlink()
        progress.note(f"{cached}: damaged, fetched again")
    with progress.step(f"Fetch {wanted.name}"):
        _fetch(wanted, cached, log)
    return InstallerIso(str(cached), wanted.sha256)


def _fetch(wanted: InstallerIso, target: Path, log: Path) -> None:
    """Fetch with apt's own downloader: its proxies, its retries, and it resumes a part."""
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    before = log.stat().st_size if log.exists() else 0
    options = (f'Acquire::Retries "{RETRIES}";', 'Acquire::Retries::Delay "false";')
    status = apt.download({wanted.url: part}, options, within=0, log=log)
    if status != 0 or not part.exists():
        said = SAID.findall(log.read_bytes()[before:].decode(errors="replace"))
        raise ToipLabError(
            f"{wanted.url}: cannot be fetched\n" + "\n".join(f"  | {line}" for line in said[:4]),
            hint="what has come is kept, and the next build goes on from there; with the file "
            "at hand: --iso FILE",
        )
    found = files.sha256(part)
    if found != wanted.sha256:
        part.unlink()
        raise ToipLabError(
            f"{wanted.url}: its SHA-256 is {found}, not {wanted.sha256}",
            hint="what was sent is not Debian's image: a proxy may have changed or cut it; "
            "try again, or get it elsewhere and name it: --iso FILE",
        )
    part.replace(target)


def check_own(request: Request) -> None:
    """Check what can be told at once of an image that a person named: it is there, and whole.

    Raises:
        ToipLabError: it is not there, is no image, or is cut short.
    """
    if (path := request.iso) is None:
        return
    if not path.is_file():
        raise ToipLabError(
            f"--iso {path}: no such file", hint="such as debian-10.13.0-amd64-netinst.iso"
        )
    whole = _declared_size(path)
    if path.stat().st_size < whole:
        raise ToipLabError(
            f"{path}: cut short: {path.stat().st_size} of {whole} bytes",
            hint="copy or fetch it once more",
        )


def _own(path: Path, release: Release) -> InstallerIso:
    found, pinned = files.sha256(path), release.iso.sha256
    if found in (pinned, listed := _listed(path)):
        return InstallerIso(str(path), found)
    if listed is not None:
        raise ToipLabError(
            f"{path}: its SHA-256 is {found}, {path.with_name(SUMS)} says {listed}",
            hint="the file is damaged: copy or fetch it once more",
        )
    raise ToipLabError(
        f"{path}: not {release.iso.name}: its SHA-256 is {found}, not {pinned}",
        hint=f"for another image, put the {SUMS} that lists it beside it",
    )


def _listed(path: Path) -> str | None:
    """The image's checksum by the SHA256SUMS beside it, as sha256sum(1) writes it."""
    sums = path.with_name(SUMS)
    if not sums.exists():
        return None
    for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition(" ")
        if name.lstrip(" *") == path.name:
            return digest
    return None


def _declared_size(path: Path) -> int:
    """The size in bytes that the image itself claims (ISO 9660, section 8.4.8).

    Raises:
        ToipLabError: it is no ISO image.
    """
    with path.open("rb") as file:
        file.seek(DESCRIPTOR)
        descriptor = file.read(SECTOR)
    if descriptor[1:6] != b"CD001":
        raise ToipLabError(
            f"{path}: not an ISO image", hint="name the installer's image, a file ending in .iso"
        )
    return int.from_bytes(descriptor[80:84], "little") * SECTOR
