"""An apt repository on loopback with exactly the packages of one set.

Every tool installs from it, so that all install the same versions, without the network.
It is signed by a key made for it: https://wiki.debian.org/DebianRepository/Format.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from toiplab import files, host
from toiplab.bench.loopback import served
from toiplab.builders.packages import PackageSet
from toiplab.errors import ToipLabError

STANZA_KEY = re.compile(r"^(Package|Version|SHA256): (.*)$", re.MULTILINE)
FILENAME = re.compile(r"^Filename: .*$", re.MULTILINE)
KEYRING = "repository.gpg"


@dataclass(frozen=True)
class Repository:
    """A repository that is being served.

    ``url`` is its address on loopback, ``codename`` its one suite, ``keyring`` the file with
    the key that signs it.
    """

    url: str
    codename: str
    keyring: Path

    @property
    def source(self) -> str:
        """Its entry of sources.list(5)."""
        return f"deb [signed-by={self.keyring}] {self.url} {self.codename} main"


@contextmanager
def repository(package_set: PackageSet, folder: Path) -> Iterator[Repository]:
    """Publish a package set in an empty folder and serve it while the block runs.

    Raises:
        ToipLabError: gpg is missing, or a package is in none of the set's indexes.
    """
    host.require("gpg")
    publish(package_set, folder)
    with served(folder) as url:
        yield Repository(url, package_set.release.codename, folder / KEYRING)


def publish(package_set: PackageSet, folder: Path) -> None:
    """Lay the repository out: the packages as links, their indexes, the signatures."""
    codename = package_set.release.codename
    pool = folder / "pool"
    pool.mkdir(parents=True)
    for package in package_set.packages:
        files.link_or_copy(
            package_set.debs / package.file_name, pool / served_name(package.file_name)
        )
    index = packages_index(package_set).encode()
    suite = folder / "dists" / codename
    sums = []
    for name, content in (("Packages", index), ("Packages.gz", gzip.compress(index, mtime=0))):
        path = f"main/binary-amd64/{name}"
        files.write(suite / path, content)
        sums.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}\n")
    files.write(
        suite / "Release",
        (
            f"Origin: toip-lab\nLabel: Debian\nSuite: {codename}\nCodename: {codename}\n"
            f"Version: {package_set.release.version}\n"
            f"Date: {formatdate(package_set.epoch, usegmt=True)}\n"
            f"Architectures: amd64\nComponents: main\nSHA256:\n{''.join(sums)}"
        ).encode(),
    )
    sign(suite, folder / KEYRING)


def packages_index(package_set: PackageSet) -> str:
    """The Packages index: the stanzas of the archive's own, each with its new place.

    Raises:
        ToipLabError: a package is in none of the set's indexes.
    """
    wanted = {(p.name, p.version, p.sha256): p for p in package_set.packages}
    stanzas: dict[str, str] = {}
    for listing in sorted(package_set.lists.glob("*_Packages")):
        for stanza in listing.read_text(encoding="utf-8").split("\n\n"):
            found = dict(STANZA_KEY.findall(stanza))
            key = tuple(found.get(name, "") for name in ("Package", "Version", "SHA256"))
            if package := wanted.get(key):
                place = f"Filename: pool/{served_name(package.file_name)}"
                stanzas[package.name] = FILENAME.sub(place, stanza.strip("\n"))
    if missing := sorted(package_set.versions.keys() - stanzas.keys()):
        raise ToipLabError(f"{package_set.lists}: no index has {', '.join(missing)}")
    return "".join(f"{stanza}\n\n" for _, stanza in sorted(stanzas.items()))


def served_name(file_name: str) -> str:
    """A name without the quoted colon of an epoch, which an address would quote again."""
    return file_name.replace("%3a", "_")


def sign(suite: Path, keyring: Path) -> None:
    """Sign a suite's Release file with a key that exists only meanwhile."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:  # short: a socket's path is, too
        gpg = ["gpg", "--batch", "--quiet", "--homedir", home]
        gpg += ["--pinentry-mode", "loopback", "--passphrase", ""]
        try:
            host.run([*gpg, "--quick-generate-key", "toip-lab bench", "ed25519", "sign", "never"])
            host.run([*gpg, "--output", keyring, "--export"])
            for option, name in (("--clearsign", "InRelease"), ("--detach-sign", "Release.gpg")):
                host.run([*gpg, "--armor", "--output", suite / name, option, suite / "Release"])
        finally:
            host.run(["gpgconf", "--kill", "gpg-agent"], env={"GNUPGHOME": home}, check=False)
