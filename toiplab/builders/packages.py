"""The exact set of packages of an image: resolved by apt, fetched, verified.

Where the mirror lacks a file of the security suite, all binaries of that source
package are taken from the main suite, at one version: half a version never works.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from toiplab import files
from toiplab.builders.apt import Apt, complaint
from toiplab.builders.indexes import Index, Indexes, Package, read_indexes
from toiplab.builders.sources import Chosen, Source
from toiplab.errors import ToipLabError
from toiplab.progress import Progress
from toiplab.releases import Release

PRIORITIES = ("required", "important", "standard")
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+]")  # Debian Policy 5.6.7; no trailing "-"
INSTALL = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)
FAILED = re.compile(r"^(?:E|Error): Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)
ABSENT = re.compile(r"\b404\b|File not found|No such file or directory")
MEGABYTE = 1_000_000
FETCH_RETRIES = 5  # of a file whose download was cut: the archive is one host, and far away


@dataclass(frozen=True)
class Substitution:
    """A source package taken at an older version, since the mirror lacks files of the newer.

    ``binaries`` are those of the image that are at ``taken_version`` because of it.
    """

    source: str
    missing_version: str
    missing_files: tuple[str, ...]
    taken_version: str
    binaries: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.source} {self.missing_version} is not whole on the mirror (without "
            f"{', '.join(name.partition('_')[0] for name in self.missing_files)}): "
            f"{', '.join(self.binaries)} taken at {self.taken_version}, the newest whole "
            "version; it works, without the fixes made since"
        )


@dataclass(frozen=True)
class PackageSet:
    """The packages of an image, each verified and in ``debs``, sorted by name.

    Every version is the one that apt would install from the indexes, except where a
    substitution says otherwise. ``epoch`` is the newest date of the suites, in seconds
    since 1970, to be used as SOURCE_DATE_EPOCH. ``lists`` holds apt's verified indexes.
    """

    release: Release
    sources: tuple[Source, ...]
    packages: tuple[Package, ...]
    substitutions: tuple[Substitution, ...]
    indexes: tuple[Index, ...]
    epoch: int
    preferences: str
    debs: Path
    lists: Path

    @property
    def versions(self) -> dict[str, str]:
        """The version of every package of the image, by name."""
        return {package.name: package.version for package in self.packages}

    @property
    def digest(self) -> str:
        """A hash of all that decides the installed packages: the key for caching them."""
        lines = [self.release.codename, str(self.epoch)]
        lines += [f"{source.suite} {source.uri}" for source in self.sources]
        lines += [f"{index.url} {index.sha256}" for index in self.indexes]
        lines += [f"{p.name} {p.version} {p.sha256}" for p in self.packages]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def resolve(
    chosen: Chosen,
    wanted: Sequence[str],
    *,
    cache: Path,
    log: Path,
    progress: Progress,
    before_fetching: Callable[[Sequence[Package]], None] = lambda _: None,
    priorities: Sequence[str] = PRIORITIES,
) -> PackageSet:
    """Resolve and fetch ``wanted``, the essential packages and those of ``priorities``.

    Recommended packages are not taken. ``before_fetching`` is given the packages once they
    are known, and may refuse them with an error of its own. The downloads are kept in
    ``cache`` and shared between builds; apt's output goes to ``log``.

    Raises:
        ToipLabError: an index cannot be had or trusted, a package does not exist, the
            packages do not fit together, or a file is missing without a substitute.
    """
    release = chosen.release
    bad = [name for name in wanted if not NAME.fullmatch(name)]
    if bad:
        raise ToipLabError(f"not a package name: {bad[0]!r}", hint="such as asterisk-mysql")
    apt = Apt(cache.resolve() / "apt" / release.codename, cache.resolve() / "debs", log)
    trusted = keyrings(release)
    apt.prepare([source.line(trusted) for source in chosen.sources], release=release)
    with progress.step(f"Read the package lists of {release.title}"):
        mirrors = ", ".join(dict.fromkeys(source.uri for source in chosen.sources))
        apt.update(f"{release.title} from {mirrors}")
        indexes = read_indexes(apt)
    patterns = ["?essential", *(f"?priority({priority})" for priority in priorities)]
    missing: dict[tuple[str, str], list[Package]] = {}
    while True:
        packages = _plan(apt, indexes, [*patterns, *wanted], missing, release)
        before_fetching(packages)
        absent = _fetch(apt, packages, progress)
        if not absent:
            break
        _withhold(missing, absent, chosen)
        apt.prefer(preferences(indexes, missing))
    substitutions = tuple(
        _substitution(key, files, packages) for key, files in sorted(missing.items())
    )
    for substitution in substitutions:
        progress.warn(str(substitution))
    return PackageSet(
        release=release,
        sources=chosen.sources,
        packages=packages,
        substitutions=substitutions,
        indexes=indexes.files,
        epoch=indexes.epoch,
        preferences=preferences(indexes, missing),
        debs=apt.debs,
        lists=apt.lists,
    )


def keyrings(release: Release) -> tuple[Path, ...]:
    """The release's keyrings that this machine has.

    Raises:
        ToipLabError: it has none of them.
    """
    present = tuple(path for path in map(Path, release.keyrings) if path.exists())
    if not present:
        raise ToipLabError(
            f"{release.title}: no keyring to verify its packages with; looked for "
            + ", ".join(release.keyrings),
            hint="install with: apt-get install debian-archive-keyring",
        )
    return present


def preferences(indexes: Indexes, missing: Iterable[tuple[str, str]]) -> str:
    """Pins that forbid whole versions of source packages: apt_preferences(5)."""
    stanzas = []
    for source, source_version in sorted(missing):
        by_version = defaultdict(list)
        for package in indexes.binaries_of(source, source_version):
            by_version[package.version].append(package.name)
        stanzas += [
            f"Package: {' '.join(names)}\nPin: version {version}\nPin-Priority: -1\n"
            for version, names in sorted(by_version.items())
        ]
    return "\n".join(stanzas)


def _plan(
    apt: Apt,
    indexes: Indexes,
    wanted: Sequence[str],
    missing: dict[tuple[str, str], list[Package]],
    release: Release,
) -> tuple[Package, ...]:
    outcome = apt.run("apt-get", "--simulate", "--yes", "--no-remove", "install", *wanted)
    if outcome.status != 0:
        lacking = "".join(
            f"; without {source} {version}, which the mirror lacks in part"
            for source, version in sorted(missing)
        )
        raise complaint(outcome.said, f"choosing the packages of {release.title}{lacking}")
    return tuple(sorted(indexes.packages[found] for found in INSTALL.findall(outcome.said)))


def _fetch(apt: Apt, packages: Sequence[Package], progress: Progress) -> list[Package]:
    """Download what the cache lacks; return the packages that the mirror does not have."""
    lacking = [package for package in packages if not _verified(apt.debs, package)]
    if not lacking:
        return []
    size = sum(package.size for package in lacking) / MEGABYTE
    with progress.step(f"Fetch {len(lacking)} packages ({size:.0f} MB)"):
        outcome = apt.run(
            "apt-get",
            f"--option=Acquire::Retries={FETCH_RETRIES}",
            "--download-only",
            "--yes",
            "install",
            *(f"{package.name}={package.version}" for package in packages),
        )
        failed = {unquote(url): reason for url, reason in FAILED.findall(outcome.said)}
        absent = [url for url, reason in failed.items() if ABSENT.search(reason)]
        if outcome.status != 0 and (not absent or len(absent) < len(failed)):
            raise complaint(outcome.said, "fetching the packages")
        missing = [
            package
            for package in lacking
            if any(url.endswith(f"/{package.path}") for url in absent)
        ]
        for package in lacking:
            if package not in missing and not _verified(apt.debs, package):
                raise ToipLabError(
                    f"{apt.debs / package.file_name}: apt did not fetch it", hint=f"log: {apt.log}"
                )
    return missing


def _verified(debs: Path, package: Package) -> bool:
    """Whether the cache has the package; a damaged file is removed (apt trusts its size)."""
    path = debs / package.file_name
    if not path.exists():
        return False
    if files.sha256(path) == package.sha256:
        with suppress(PermissionError):  # another user's, which a checkout may have linked
            os.utime(path)  # a use: what was not used for longest is removed first
        return True
    path.unlink()
    return False


def _withhold(
    missing: dict[tuple[str, str], list[Package]], absent: Sequence[Package], chosen: Chosen
) -> None:
    security = {suite.name for suite in chosen.release.suites if suite.area == "security"}
    replaceable = [package for package in absent if package.suite in security]
    if not replaceable:
        uris = {source.suite: source.uri for source in chosen.sources}
        raise ToipLabError(
            f"{uris[absent[0].suite]}/{absent[0].path}: missing on the mirror",
            hint="the mirror is not whole: name another (--mirror)",
        )
    for package in replaceable:  # without them, the others may not be needed any more
        missing.setdefault((package.source, package.source_version), []).append(package)


def _substitution(
    key: tuple[str, str],
    files: Sequence[Package],
    packages: Sequence[Package],
) -> Substitution:
    source, missing_version = key
    taken = [package for package in packages if package.source == source]
    versions = sorted({package.source_version for package in taken})
    if len(versions) != 1:
        raise ToipLabError(
            f"{source} {missing_version} is not whole on the mirror, and there is no one version "
            f"to take instead (found: {', '.join(versions) or 'none'})",
            hint="name another mirror (--mirror)",
        )
    return Substitution(
        source=source,
        missing_version=missing_version,
        missing_files=tuple(Path(package.path).name for package in files),
        taken_version=versions[0],
        binaries=tuple(package.name for package in taken),
    )
