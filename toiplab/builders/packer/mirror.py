"""Where the guest fetches its packages: this build's sources, as the guest reaches them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from toiplab.builders.apt import network_options
from toiplab.builders.packer.boot import HOST
from toiplab.builders.sources import Source
from toiplab.errors import ToipLabError

OPTION = re.compile(r'^(\S+) "(.*)";$')
DIRECT = "DIRECT"


@dataclass(frozen=True)
class Mirror:
    """The installer's mirror: its host (with a port if need be), folder and HTTP proxy."""

    host: str
    folder: str
    proxy: str


def of(sources: tuple[Source, ...]) -> Mirror:
    """The mirror of the first of the sources, with the proxy that this machine's apt uses.

    Raises:
        ToipLabError: it is not reached by HTTP.
    """
    parts = urlsplit(sources[0].uri)
    if parts.scheme != "http":
        raise ToipLabError(
            f"{sources[0].uri}: Debian's installer fetches by http only",
            hint="name such a mirror: --mirror http://HOST/debian",
        )
    return Mirror(_netloc(parts), parts.path.rstrip("/") or "/", _proxy(parts.hostname or ""))


def seen_by_guest(source: Source) -> Source:
    """A source by the address that the guest has for it: this machine is not its loopback."""
    parts = urlsplit(source.uri)
    return Source(parts._replace(netloc=_netloc(parts)).geturl(), source.suite)


def _proxy(mirror: str) -> str:
    """The proxy for that mirror by apt's configuration (apt-transport-http(1)), or empty."""
    matches = (OPTION.match(line) for line in network_options())
    options = {found[1]: found[2] for found in matches if found}
    proxy = (
        options.get(f"Acquire::http::Proxy::{mirror}")
        or options.get("Acquire::http::Proxy")
        or os.environ.get("http_proxy", "")
    )
    if not proxy or proxy == DIRECT:
        return ""
    parts = urlsplit(proxy)
    return parts._replace(netloc=_netloc(parts)).geturl()


def _netloc(parts: SplitResult) -> str:
    """Host, port and account of an address, this machine named as the guest knows it."""
    name = parts.hostname or ""
    try:
        loopback = ip_address(name).is_loopback
    except ValueError:
        loopback = name == "localhost"
    shown = f"[{name}]" if ":" in name else name
    return parts.netloc.replace(shown, HOST) if loopback else parts.netloc
