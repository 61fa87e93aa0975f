"""Reading the indexes that apt has downloaded and verified.

Format: https://wiki.debian.org/DebianRepository/Format, deb822(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from toiplab import files
from toiplab.builders.apt import Apt
from toiplab.errors import ToipLabError

FIELD = re.compile(
    r"^(Package|Source|Version|Architecture|Filename|Size|Installed-Size|SHA256): (.*)$",
    re.MULTILINE,
)
KIB = 1024
RELEASE_NAMES = ("InRelease", "Release")


def deb_name(name: str, version: str, architecture: str) -> str:
    """How apt names a package in its cache of downloads: an epoch's colon is quoted."""
    return f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"


@dataclass(frozen=True, order=True)
class Package:
    """One binary package of one suite; ``path`` below the archive.

    ``size`` is that of its file, ``installed_size`` Debian's estimate of what it takes once
    installed (Debian Policy 5.6.20; 0 where there is none), both in bytes.
    """

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    suite: str
    sha256: str
    size: int
    path: str
    installed_size: int = 0

    @property
    def file_name(self) -> str:
        """Its name in apt's cache of downloads."""
        return deb_name(self.name, self.version, self.architecture)


@dataclass(frozen=True)
class Index:
    """A downloaded index: its address and the SHA-256 of its content."""

    url: str
    sha256: str


@dataclass(frozen=True)
class Indexes:
    """All that the indexes of a release say.

    ``epoch`` is the newest Date of the suites' Release files, in seconds since 1970.
    """

    files: tuple[Index, ...]
    epoch: int
    packages: dict[tuple[str, str], Package]

    def binaries_of(self, source: str, source_version: str) -> list[Package]:
        """All binary packages that one version of a source package gave."""
        return sorted(
            package
            for package in self.packages.values()
            if (package.source, package.source_version) == (source, source_version)
        )


def read_indexes(apt: Apt) -> Indexes:
    """Read the indexes of a private apt after its update.

    Where two suites have the same version of a package, the first one counts.

    Raises:
        ToipLabError: there are none, or one cannot be understood.
    """
    rows = apt.run(
        "apt-get",
        "indextargets",
        "--format",
        "index|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ARCHITECTURE)|$(FILENAME)",
        "Created-By: Packages",
    ).said
    found: list[Index] = []
    dates: list[int] = []
    packages: dict[tuple[str, str], Package] = {}
    for row in rows.splitlines():
        if not row.startswith("index|"):
            continue
        _, uri, suite, component, architecture, name = row.split("|")
        url = f"{uri.rstrip('/')}/dists/{suite}"
        path = Path(name)
        part = f"{component}/binary-{architecture}/Packages"
        release = _release_file(path, part)
        found.append(Index(f"{url}/{release.name.rpartition('_')[2]}", files.sha256(release)))
        dates.append(_date(release))
        if path.exists():  # apt keeps no file for an empty index
            found.append(Index(f"{url}/{part}", files.sha256(path)))
            for package in read_packages(path, suite):
                packages.setdefault((package.name, package.version), package)
    if not found:
        raise ToipLabError(f"{apt.lists}: no index was downloaded")
    return Indexes(tuple(found), max(dates), packages)


def read_packages(path: Path, suite: str) -> list[Package]:
    """The packages a Packages index lists, in its order.

    Raises:
        ToipLabError: a stanza lacks a field.
    """
    stanzas = path.read_text(encoding="utf-8", errors="replace").split("\n\n")
    return [_package(stanza, path, suite) for stanza in stanzas if stanza.strip()]


def _package(stanza: str, path: Path, suite: str) -> Package:
    fields: dict[str, str] = dict(FIELD.findall(stanza))
    try:
        name, version = fields["Package"], fields["Version"]
        source, _, source_version = fields.get("Source", name).partition(" ")
        return Package(
            name=name,
            version=version,
            architecture=fields["Architecture"],
            source=source,
            source_version=source_version.strip("()") or version,
            suite=suite,
            sha256=fields["SHA256"],
            size=int(fields["Size"]),
            path=fields["Filename"],
            installed_size=int(fields.get("Installed-Size", 0)) * KIB,
        )
    except (KeyError, ValueError) as error:
        raise ToipLabError(
            f"{path}: a package without a usable {error} field: {stanza.splitlines()[0]}"
        ) from error


def _release_file(packages: Path, part: str) -> Path:
    prefix = str(packages).removesuffix(part.replace("/", "_"))
    for name in RELEASE_NAMES:
        if (path := Path(prefix + name)).exists():
            return path
    raise ToipLabError(f"{prefix}InRelease: apt did not keep the suite's signed index")


def _date(release: Path) -> int:
    text = release.read_text(encoding="utf-8", errors="replace")
    dated = re.search(r"^Date: (.*)$", text, re.MULTILINE)
    if dated is None:
        raise ToipLabError(f"{release}: no Date field")
    return int(parsedate_to_datetime(dated[1]).timestamp())
