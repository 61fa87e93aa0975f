"""Where the guest fetches packages: what this machine says, as the guest must say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab.builders.packer import mirror
from toiplab.builders.sources import Source
from toiplab.errors import ToipLabError


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("uri", "host", "folder"),
    [
        ("http://archive.debian.org/debian", "archive.debian.org", "/debian"),
        ("http://mirror.example.org:8080/pub/debian/", "mirror.example.org:8080", "/pub/debian"),
        ("http://127.0.0.1:3142/debian", "10.0.2.2:3142", "/debian"),
        ("http://localhost/debian", "10.0.2.2", "/debian"),
    ],
)
def test_the_mirror_of_the_guest(uri: str, host: str, folder: str) -> None:
    found = mirror.of((Source(uri, "bullseye"),))

    assert (found.host, found.folder) == (host, folder)


@pytest.mark.parametrize("uri", ["https://mirror.example.org/debian", "copy:/srv/debian"])
def test_a_mirror_that_the_installer_cannot_use(uri: str) -> None:
    with pytest.raises(ToipLabError) as error:
        mirror.of((Source(uri, "bullseye"),))

    assert str(error.value) == (
        f"{uri}: Debian's installer fetches by http only\n"
        "  name such a mirror: --mirror http://HOST/debian"
    )


@pytest.mark.parametrize(
    ("proxy", "seen"),
    [
        ("http://proxy.school.sn:3128", "http://proxy.school.sn:3128"),
        ("http://127.0.0.1:8099", "http://10.0.2.2:8099"),
        ("http://[::1]:8099", "http://10.0.2.2:8099"),
        ("http://user:word@localhost:8099/", "http://user:word@10.0.2.2:8099/"),
        ("", ""),
    ],
)
def test_the_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch, proxy: str, seen: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)

    assert mirror.of((Source("http://m.example.org/debian", "b"),)).proxy == seen


def test_apts_own_proxy_for_that_mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "apt.conf"
    config.write_text(
        'Acquire::http::Proxy "http://general:1";\n'
        'Acquire::http::Proxy::m.example.org "http://special:2";\n'
        'Acquire::http::Proxy::near.example.org "DIRECT";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))

    def proxy(host: str) -> str:
        return mirror.of((Source(f"http://{host}/debian", "b"),)).proxy

    assert [proxy(f"{name}.example.org") for name in ("m", "near", "far")] == [
        "http://special:2", "", "http://general:1",
    ]  # fmt: skip


def test_the_sources_of_the_guest() -> None:
    here = Source("http://127.0.0.1:8000/debian-security", "bullseye-security")

    assert mirror.seen_by_guest(here).line() == (
        "deb http://10.0.2.2:8000/debian-security bullseye-security main"
    )
