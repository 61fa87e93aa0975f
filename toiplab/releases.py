"""Facts of each Debian release the appliance is built from, as data in one place.

Sources: the Release files of the suites; the archive's README for ended releases
(https://www.debian.org/distrib/archive); the SHA256SUMS beside the installer's images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toiplab.errors import ToipLabError

Area = Literal["main", "security"]

ISO_ARCHIVE = "https://cdimage.debian.org/cdimage/archive"
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-removed-keys.gpg",
)


@dataclass(frozen=True)
class Suite:
    """One suite of the archive; ``area`` tells which of the two archives holds it."""

    name: str
    area: Area


@dataclass(frozen=True)
class Archive:
    """Base addresses of the two archives a release is spread over."""

    main: str
    security: str


@dataclass(frozen=True)
class InstallerIso:
    """The installer's image of a release: where it is, and its pinned SHA-256."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Release:
    """A Debian release: where its packages are and what its image must show.

    ``archive`` is None while the release is on the live mirrors. ``valid_until`` is
    False where the Release files' Valid-Until has long passed and must not be checked.
    ``kernel`` is how ``uname -r`` starts on the built image (row I4).
    """

    codename: str
    version: str
    suites: tuple[Suite, ...]
    archive: Archive | None
    valid_until: bool
    kernel: str
    asterisk: str
    iso: InstallerIso
    keyrings: tuple[str, ...] = KEYRINGS

    @property
    def title(self) -> str:
        """The release as a person names it, such as ``Debian 10.13 (buster)``."""
        return f"Debian {self.version} ({self.codename})"


BUSTER = Release(
    codename="buster",
    version="10.13",
    suites=(
        Suite("buster", "main"),
        Suite("buster-updates", "main"),
        Suite("buster/updates", "security"),
    ),
    archive=Archive(
        main="http://archive.debian.org/debian",
        security="http://archive.debian.org/debian-security",
    ),
    valid_until=False,
    kernel="4.19.0-",
    asterisk="16.28.0",
    iso=InstallerIso(
        f"{ISO_ARCHIVE}/10.13.0/amd64/iso-cd/debian-10.13.0-amd64-netinst.iso",
        "75aa64071060402a594dcf1e14afd669ca0f8bf757b56d4c9c1a31b8f7c8f931",
    ),
)

BULLSEYE = Release(
    codename="bullseye",
    version="11.11",
    suites=(
        Suite("bullseye", "main"),
        Suite("bullseye-updates", "main"),
        Suite("bullseye-security", "security"),
    ),
    archive=None,
    valid_until=True,
    kernel="5.10.0-",
    asterisk="16.28.0",
    iso=InstallerIso(
        f"{ISO_ARCHIVE}/11.11.0/amd64/iso-cd/debian-11.11.0-amd64-netinst.iso",
        "cd5b2a6fc22050affa1d141adb3857af07e94ff886dca1ce17214e2761a3b316",
    ),
)

RELEASES = (BUSTER, BULLSEYE)


def by_codename(codename: str) -> Release:
    """The release of that code name.

    Raises:
        ToipLabError: no such release here; the message lists those there are.
    """
    for release in RELEASES:
        if release.codename == codename:
            return release
    names = ", ".join(release.codename for release in RELEASES)
    raise ToipLabError(f"unknown release {codename!r}", hint=f"releases: auto, {names}")
