"""What Debian's mirror of this machine has of the installer, fetched once and kept."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

SUITE = "trixie"  # the newest installer there is; it installs bullseye as well
SECONDS = 300
WORKERS = 16
NETBOOT = "debian-installer-13-netboot-amd64"
# The mirror itself, past the proxy that the tests put before it
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
RELEASED = re.compile(r"^(?P<base>.*u)(?P<number>\d+)$")

Stanza = dict[str, str]  # of an index: deb822(5)


def read_stanzas(text: str) -> list[Stanza]:
    """The stanzas of an index, their fields in order; continued lines with their newlines."""
    return [
        {
            name: value.strip(" ")
            for name, value in re.findall(r"^([^\s:]+):((?:.*)(?:\n[ \t].*)*)$", part, re.MULTILINE)
        }
        for part in text.split("\n\n")
        if part.strip()
    ]


def write_stanzas(stanzas: Iterable[Stanza]) -> str:
    """The index of these stanzas."""
    parts = ("".join(f"{name}: {value}\n" for name, value in each.items()) for each in stanzas)
    return "\n".join(parts)


@dataclass(frozen=True)
class Mirror:
    """A Debian mirror by its address; what is fetched from it is kept in ``cache``."""

    address: str
    cache: Path

    def fetch(self, path: str) -> Path:
        """A file of the mirror, by its path below the archive's top."""
        kept = self.cache / "files" / path
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_name(f"{kept.name}.part")
            with self._open(path) as answer, part.open("wb") as out:
                shutil.copyfileobj(answer, out)
            part.replace(kept)
        return kept

    def lacks(self, path: str) -> bool:
        """Whether the mirror does not have a file that its index lists."""
        try:
            with self._open(path, method="HEAD"):
                return False
        except urllib.error.HTTPError:
            return True

    def _open(self, path: str, *, method: str = "GET") -> HTTPResponse:
        asked = urllib.request.Request(f"{self.address}/{path}", method=method)  # noqa: S310
        answer = DIRECT.open(asked, timeout=SECONDS)
        assert isinstance(answer, HTTPResponse)
        return answer

    def lacking(self, stanzas: Iterable[Stanza]) -> set[str]:
        """The names of the packages whose files the mirror does not have."""
        listed = list(stanzas)
        with ThreadPoolExecutor(WORKERS) as pool:
            absent = pool.map(lambda each: self.lacks(each["Filename"]), listed)
            return {each["Package"] for each, lost in zip(listed, absent, strict=True) if lost}

    def index(self, part: str) -> list[Stanza]:
        """An index of the suite, such as ``main/binary-amd64``."""
        packed = self.fetch(f"dists/{SUITE}/{part}/Packages.xz")
        return read_stanzas(lzma.decompress(packed.read_bytes()).decode())

    def unpacked(self, path: str) -> Path:
        """The files of a package, unpacked."""
        folder = self.cache / "unpacked" / Path(path).name
        if not folder.exists():
            beside = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", self.fetch(path), beside], check=True)
            beside.replace(folder)
        return folder

    def netboot(self, listed: Stanza, kernel: str) -> Path:
        """The files of the netboot package whose installer runs that version of the kernel.

        The index names the newest, which may be ahead of the installer's own packages; an
        older one then still lies beside it.
        """
        newest = RELEASED.match(listed["Version"])
        assert newest is not None, listed["Version"]
        for number in range(int(newest["number"]), 0, -1):
            version = f"{newest['base']}{number}"
            path = listed["Filename"].replace(listed["Version"], version)
            if self.lacks(path):
                continue
            fields = ["dpkg-deb", "-f", self.fetch(path), "Built-Using"]
            built = subprocess.run(fields, check=True, capture_output=True, text=True).stdout
            if f" linux (= {kernel})" in f" {built}":
                return self.unpacked(path)
        raise LookupError(f"no {NETBOOT} with Linux {kernel} on {self.address}")
