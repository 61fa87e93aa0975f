"""An archive on disk, laid out as archive.debian.org is.

Below one root: ``debian`` and ``debian-security``, each with ``dists`` and ``pool``.
"""

from __future__ import annotations

import hashlib
import lzma
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.archive.keys import Key, Keys

DATE = "Sat, 10 Sep 2022 10:17:00 UTC"
EPOCH = 1662805020
VALID_UNTIL = "Sat, 17 Sep 2022 10:17:00 UTC"


@dataclass(frozen=True)
class Deb:
    """A package to be made, with no file in it but its own control data."""

    name: str
    version: str
    source: str = ""
    depends: str = ""
    priority: str = "optional"
    essential: bool = False

    def control(self) -> str:
        """Its control stanza: deb-control(5)."""
        source = f"Source: {self.source}\n" if self.source else ""
        depends = f"Depends: {self.depends}\n" if self.depends else ""
        essential = "Essential: yes\n" if self.essential else ""
        return (
            f"Package: {self.name}\n{source}Version: {self.version}\nArchitecture: amd64\n"
            f"{essential}{depends}Priority: {self.priority}\nSection: misc\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: a package of the tests\n"
        )


@dataclass(frozen=True)
class Suite:
    """A suite to publish; ``dist`` is its folder below ``dists``."""

    area: str  # debian or debian-security
    dist: str
    codename: str
    label: str
    pool: str = "pool/main"
    components: str = "main"


# As on archive.debian.org: the security suite's Release file names the codename of the
# release alone, and its components with a prefix.
BUSTER = Suite("debian", "buster", "buster", "Debian")
BUSTER_UPDATES = Suite("debian", "buster-updates", "buster-updates", "Debian")
BUSTER_SECURITY = Suite(
    "debian-security",
    "buster/updates",
    "buster",
    "Debian-Security",
    pool="pool/updates/main",
    components="updates/main",
)


@dataclass(frozen=True)
class DebianArchive:
    """An archive under ``root`` whose indexes are signed by ``signers``."""

    root: Path
    keys: Keys
    signers: Sequence[Key] = field(default_factory=tuple)

    def publish(self, suite: Suite, debs: Sequence[Deb]) -> None:
        """Make packages, put them into the pool, and publish the suite's indexes."""
        stanzas = []
        for deb in debs:
            path = f"{suite.pool}/{deb.name[0]}/{deb.name}/{deb.name}_{deb.version}_amd64.deb"
            made = build(deb, self.root / suite.area / path)
            content = made.read_bytes()
            stanzas.append(
                f"{deb.control()}Filename: {path}\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
            )
        self.publish_index(suite, "\n".join(stanzas).encode())

    def publish_index(self, suite: Suite, packages: bytes) -> None:
        """Publish a suite with this Packages index; its pool is the caller's.

        As there, the index itself is compressed only, and is promised by hash; that it is
        not there by hash, apt must cope with.
        """
        folder = self.root / suite.area / "dists" / suite.dist
        packed = lzma.compress(packages, preset=0)
        index = folder / "main/binary-amd64/Packages.xz"
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_bytes(packed)
        listed = {"main/binary-amd64/Packages": packages, "main/binary-amd64/Packages.xz": packed}
        sums = "".join(
            f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"
            for name, content in listed.items()
        )
        release = (
            f"Origin: Debian\nLabel: {suite.label}\nSuite: oldoldstable\nVersion: 10.13\n"
            f"Codename: {suite.codename}\nDate: {DATE}\nValid-Until: {VALID_UNTIL}\n"
            f"Acquire-By-Hash: yes\nArchitectures: amd64\nComponents: {suite.components}\n"
            f"SHA256:\n{sums}"
        ).encode()
        (folder / "Release").write_bytes(release)
        (folder / "Release.gpg").write_bytes(self.keys.detached(release, *self.signers))
        (folder / "InRelease").write_bytes(self.keys.clearsign(release, *self.signers))

    def remove(self, name: str) -> None:
        """Take a package's file out of the pools; the indexes still name it."""
        found = list(self.root.glob(f"*/pool/**/{name}"))
        assert found, name
        for path in found:
            path.unlink()


def build(deb: Deb, path: Path) -> Path:
    """Build a package with dpkg-deb(1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as tree:
        control = Path(tree, "DEBIAN", "control")
        control.parent.mkdir()
        control.write_text(deb.control(), encoding="utf-8")
        Path(tree).chmod(0o755)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, path],
            check=True,
            capture_output=True,
        )
    return path
