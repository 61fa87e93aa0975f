"""The installer's image: the user's own, or fetched, resumed and checked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.installer.blank import SECTOR, blank_iso
from toiplab.builders.contract import Project, Request
from toiplab.builders.packer import iso
from toiplab.builders.packer.iso import SUMS
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.progress import Progress
from toiplab.releases import BUSTER, InstallerIso, Release

NAME = "debian-10.13.0-amd64-netinst.iso"


@dataclass
class Site:
    """A site on loopback with one file; it may cut its answers short, and remembers requests."""

    content: bytes
    cut: int = 0
    ranges: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    told = Site(content=bytes(range(256)) * 4096)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            told.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").partition("-")[0] or 0)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(told.content) - start))
            self.send_header("Last-Modified", "Sat, 10 Sep 2022 10:17:00 GMT")
            if start:
                last = len(told.content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
            self.end_headers()
            self.wfile.write(told.content[start : told.cut or None])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.address = f"http://127.0.0.1:{server.server_port}/{NAME}"
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture
def provide(tmp_path: Path):
    """Provides an image as a build would; ``own`` is --iso."""

    def provided(release: Release, own: Path | None = None) -> InstallerIso:
        lab = tmp_path / "isi.yml"
        lab.write_bytes((PROJECT / "labs/isi.yml").read_bytes())
        request = Request.read(lab, project=Project(tmp_path), iso=own)
        return iso.provide(request, release, log=tmp_path / "log", progress=Progress())

    return provided


def pinned(content: bytes, url: str = f"http://127.0.0.1:9/{NAME}") -> Release:
    return replace(BUSTER, iso=InstallerIso(url, hashlib.sha256(content).hexdigest()))


def test_the_pinned_image_of_ones_own(provide, tmp_path: Path) -> None:
    own = blank_iso(tmp_path / "any.iso", listed=False)

    assert provide(pinned(own.read_bytes()), own).url == str(own)


def test_another_image_with_its_sha256sums(provide, tmp_path: Path) -> None:
    own = blank_iso(tmp_path / "other.iso")

    assert provide(BUSTER, own).sha256 == hashlib.sha256(own.read_bytes()).hexdigest()


def refused(provide, own: Path, release: Release = BUSTER) -> str:
    with pytest.raises(ToipLabError) as error:
        provide(release, own)
    return str(error.value)


def test_an_unknown_image(provide, tmp_path: Path) -> None:
    own = blank_iso(tmp_path / "other.iso", listed=False)
    found = hashlib.sha256(own.read_bytes()).hexdigest()

    assert refused(provide, own) == (
        f"{own}: not {NAME}: its SHA-256 is {found}, not {BUSTER.iso.sha256}\n"
        f"  for another image, put the {SUMS} that lists it beside it"
    )


def test_a_damaged_image(provide, tmp_path: Path) -> None:
    own = blank_iso(tmp_path / "other.iso")
    content = bytearray(own.read_bytes())
    content[100] ^= 1
    listed = hashlib.sha256(own.read_bytes()).hexdigest()
    own.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()

    assert refused(provide, own) == (
        f"{own}: its SHA-256 is {found}, {own.with_name(SUMS)} says {listed}\n"
        "  the file is damaged: copy or fetch it once more"
    )


def test_a_truncated_image(provide, tmp_path: Path) -> None:
    own = blank_iso(tmp_path / "other.iso")
    own.write_bytes(own.read_bytes()[: 18 * SECTOR])

    assert refused(provide, own) == (
        f"{own}: cut short: {18 * SECTOR} of {20 * SECTOR} bytes\n  copy or fetch it once more"
    )


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n" * 9999], ids=["empty", "a script"])
def test_no_image_at_all(provide, tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "other.iso"
    own.write_bytes(content)

    assert refused(provide, own).startswith(f"{own}: not an ISO image\n")


def test_no_such_file(provide, tmp_path: Path) -> None:
    own = tmp_path / "absent.iso"

    assert refused(provide, own) == f"--iso {own}: no such file\n  such as {NAME}"


def test_an_image_is_fetched_once(provide, site: Site, tmp_path: Path) -> None:
    release = pinned(site.content, site.address)
    first, second = provide(release), provide(release)

    assert first == second
    assert Path(first.url).read_bytes() == site.content
    assert len(site.ranges) == 1


def test_a_fetch_that_was_cut_goes_on_from_there(provide, site: Site) -> None:
    release = pinned(site.content, site.address)
    site.cut = 500_000
    with pytest.raises(ToipLabError, match="cannot be fetched"):
        provide(release)
    site.cut = 0
    site.ranges.clear()

    provided = provide(release)

    assert Path(provided.url).read_bytes() == site.content
    assert site.ranges == ["bytes=500000-"]


def test_a_fetched_image_that_is_another(provide, site: Site, tmp_path: Path) -> None:
    release = pinned(b"what was meant", site.address)

    with pytest.raises(ToipLabError) as error:
        provide(release)

    found = hashlib.sha256(site.content).hexdigest()
    assert error.value.message == (
        f"{site.address}: its SHA-256 is {found}, not {release.iso.sha256}"
    )
    assert list((tmp_path / "build/cache/iso").iterdir()) == []


def test_a_damaged_image_in_the_cache_is_fetched_again(provide, site: Site) -> None:
    release = pinned(site.content, site.address)
    kept = Path(provide(release).url)
    kept.write_bytes(b"damaged")

    assert Path(provide(release).url).read_bytes() == site.content


def test_an_image_that_cannot_be_fetched(provide, tmp_path: Path) -> None:
    with pytest.raises(ToipLabError) as error:
        provide(pinned(b""))

    assert error.value.message.startswith(f"http://127.0.0.1:9/{NAME}: cannot be fetched\n  | ")
    assert "Connection refused" in error.value.message
    assert "--iso FILE" in error.value.hint
