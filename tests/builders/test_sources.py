"""Which release is built, and from where."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders.conftest import Screen
from toiplab.bench.loopback import served
from toiplab.builders.sources import (
    UNREACHABLE_HINT,
    Source,
    choose,
    read_indextargets,
    read_sources_list,
    sources_of,
)
from toiplab.errors import ToipLabError
from toiplab.releases import BULLSEYE, BUSTER, Archive, Release

MAIN, SECURITY = "http://m.example/debian", "http://s.example/debian-security"


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        pytest.param(
            f"{MAIN}/|Debian\n{MAIN}/|Debian\n{SECURITY}/|Debian-Security\n",
            Archive(MAIN, SECURITY),
            id="labels",
        ),
        pytest.param(
            f"http://other.example/apt|Vendor\n{MAIN}|\n{SECURITY}|\n",
            Archive(MAIN, SECURITY),
            id="before the first update there are no labels",
        ),
        pytest.param(
            f"{MAIN}|$(LABEL)\n{SECURITY}|$(LABEL)\n", Archive(MAIN, SECURITY), id="unexpanded"
        ),
        pytest.param(f"{MAIN}|Debian\n", Archive(MAIN, "http://d/sec"), id="security by default"),
        pytest.param("http://u.example/ubuntu/|Ubuntu\n", None, id="not Debian"),
        pytest.param(
            f"http://me:secret@m.example/debian|Debian\n{MAIN}|Debian\n{SECURITY}|Debian-Security\n",
            Archive(MAIN, SECURITY),
            id="an account is nobody else's",
        ),
        pytest.param(
            "file:/srv/debian|Debian\nfile:/srv/sec|Debian-Security\n",
            Archive("copy:/srv/debian", "copy:/srv/sec"),
            id="files",
        ),
        pytest.param("cdrom:[disc]/debian/|Debian\n", None, id="a disc"),
        pytest.param("", None, id="no apt"),
    ],
)
def test_the_mirror_of_this_machine(listing: str, expected: Archive | None) -> None:
    assert read_indextargets(listing, Archive("http://d/debian", "http://d/sec")) == expected


def test_the_mirror_mmdebstrap_would_take() -> None:
    text = (
        "I: running --setup-hook\n"
        f"deb [arch=amd64] {MAIN}/ bullseye main\ndeb {MAIN} bullseye-updates main\n"
        f"deb {SECURITY} bullseye-security main\nE: command failed\n"
    )
    assert read_sources_list(text, BULLSEYE) == Archive(MAIN, SECURITY)
    assert read_sources_list("E: cannot run\n", BULLSEYE) is None


def test_the_entries_of_an_ended_release() -> None:
    assert BUSTER.archive is not None
    lines = [
        source.line((Path("/k/a"), Path("/k/b"))) for source in sources_of(BUSTER, BUSTER.archive)
    ]
    assert lines == [
        "deb [signed-by=/k/a,/k/b] http://archive.debian.org/debian buster main",
        "deb [signed-by=/k/a,/k/b] http://archive.debian.org/debian buster-updates main",
        "deb [signed-by=/k/a,/k/b] http://archive.debian.org/debian-security buster/updates main",
    ]


def test_auto_takes_the_release_that_is_asked_for(buster: Release, screen: Screen) -> None:
    chosen = choose("auto", progress=screen.progress, releases=(buster, BULLSEYE))
    assert chosen.release == buster
    assert chosen.instead_of == ""
    assert "!" not in screen.text


def test_auto_says_what_it_takes_instead_and_why(
    buster: Release, address: str, screen: Screen
) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    gone = replace(buster, archive=Archive(f"{down}/debian", f"{down}/debian-security"))
    other = replace(buster, version="11.11", codename="buster")
    chosen = choose("auto", progress=screen.progress, releases=(gone, other))
    assert chosen.release == other
    assert chosen.instead_of.startswith(f"{down}/debian/dists/buster/InRelease: Could not connect")
    assert "Debian 10.13 (buster) is what is asked for, but its packages are out of reach" in (
        screen.text
    )
    assert (
        "building Debian 11.11 (buster) instead, with the same Asterisk 16.28.0; "
        "to insist: --release buster" in screen.text
    )


def test_a_named_release_is_never_replaced(buster: Release, screen: Screen) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    gone = replace(buster, archive=Archive(f"{down}/debian", f"{down}/debian-security"))
    with pytest.raises(ToipLabError) as raised:
        choose("buster", progress=screen.progress, releases=(gone, buster))
    assert f"Debian 10.13 (buster): {down}/debian/dists/buster/InRelease: Could not connect" in (
        raised.value.message
    )
    assert raised.value.hint == UNREACHABLE_HINT
    assert raised.value.status == 2


def test_security_must_be_reachable_too(buster: Release, address: str, screen: Screen) -> None:
    half = replace(buster, archive=Archive(f"{address}/debian", f"{address}/elsewhere"))
    with pytest.raises(ToipLabError, match=r"/elsewhere/dists/buster/updates/InRelease: 404"):
        choose("buster", progress=screen.progress, releases=(half,))


def test_a_mirror_of_ones_own(buster: Release, address: str, screen: Screen) -> None:
    away = replace(buster, archive=Archive("http://127.0.0.1:1/debian", "http://127.0.0.1:1/s"))
    chosen = choose(
        "buster", progress=screen.progress, mirror=f"{address}/debian/", releases=(away,)
    )
    assert chosen.sources == (
        Source(f"{address}/debian", "buster"),
        Source(f"{address}/debian", "buster-updates"),
        Source(f"{address}/debian-security", "buster/updates"),
    )


@pytest.mark.parametrize("mirror", ["mirror.example.org/debian", "http://m.example/ubuntu", ""])
def test_a_malformed_mirror(mirror: str, screen: Screen) -> None:
    with pytest.raises(ToipLabError) as raised:
        choose("auto", progress=screen.progress, mirror=mirror)
    assert raised.value.message == f"mirror {mirror!r}: not the address of a mirror"


def test_a_login_page_is_not_an_archive(buster: Release, tmp_path: Path, screen: Screen) -> None:
    page = tmp_path / "portal/debian/dists/buster/InRelease"
    page.parent.mkdir(parents=True)
    page.write_text("<html>please log in</html>", encoding="utf-8")
    with served(tmp_path / "portal") as url, pytest.raises(ToipLabError) as raised:
        choose("buster", progress=screen.progress, mirror=f"{url}/debian", releases=(buster,))
    assert "what answers is not the index of buster" in raised.value.message


def test_an_unknown_release(screen: Screen) -> None:
    with pytest.raises(ToipLabError, match="unknown release 'sarge'"):
        choose("sarge", progress=screen.progress)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
