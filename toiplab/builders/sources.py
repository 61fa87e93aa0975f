"""Where the packages of a release come from, and whether that place can be reached.

An ended release has its archive; a live one is taken from the mirror that this
machine's own apt uses, else from the one mmdebstrap has as its default, so that no
mirror is written down here. A mirror named by the user comes before both.
"""

from __future__ import annotations

import hashlib
import re
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from toiplab import host
from toiplab.builders import apt
from toiplab.builders.indexes import Index
from toiplab.errors import ToipLabError
from toiplab.progress import Progress
from toiplab.releases import RELEASES, Archive, Release, by_codename

AUTO = "auto"
# What apt makes of this machine's indexes, and checks itself: half a second saved where apt
# may not keep it in its own place.
APT_MEMORY = host.PROJECT / "build/cache/apt/host"
COMPONENT = "main"
PROBE_SECONDS = 20
SCHEMES = ("http", "https", "copy")
MIRROR_HINT = "an address of a debian folder, such as http://mirror.example.org/debian"
UNREACHABLE_HINT = (
    "behind a proxy, set http_proxy or Acquire::http::Proxy in /etc/apt/apt.conf.d; "
    "with a mirror of your own, name it: --mirror http://HOST/debian"
)


@dataclass(frozen=True)
class Source:
    """One entry of sources.list(5): a suite of one of the two archives."""

    uri: str
    suite: str

    def line(self, signed_by: Sequence[Path] = ()) -> str:
        """The entry in one-line style; ``signed_by`` are the keyrings to trust for it."""
        options = f"[signed-by={','.join(map(str, signed_by))}] " if signed_by else ""
        return f"deb {options}{self.uri} {self.suite} {COMPONENT}"

    @property
    def release_file(self) -> str:
        """The address of the suite's signed index."""
        return f"{self.uri}/dists/{self.suite}/InRelease"


@dataclass(frozen=True)
class Chosen:
    """The release that will be built and where its packages come from.

    ``instead_of`` is the reason why ``auto`` did not take the release that is asked
    for first; empty when it did, or when the release was named. ``signed`` are the suites'
    signed indexes as they were when they were asked for.
    """

    release: Release
    sources: tuple[Source, ...]
    instead_of: str = ""
    signed: tuple[Index, ...] = ()


def choose(
    name: str,
    *,
    progress: Progress,
    mirror: str | None = None,
    releases: Sequence[Release] = RELEASES,
) -> Chosen:
    """Pick the release to build and a place of its packages that answers.

    ``auto`` takes the first of ``releases`` whose archive can be reached and warns,
    with the reason, when that is not the first of all. A release that is named is
    never replaced. ``mirror`` is the address of a ``debian`` folder with
    ``debian-security`` beside it.

    Raises:
        ToipLabError: no such release, a malformed mirror, or nothing can be reached.
    """
    with progress.step("Look for the packages"):
        return _choose(name, progress, mirror, releases)


def _choose(
    name: str, progress: Progress, mirror: str | None, releases: Sequence[Release]
) -> Chosen:
    wanted = list(releases) if name == AUTO else [_named(name, releases)]
    own = _mirror(mirror) if mirror is not None else None
    reasons: list[str] = []
    probes, pool = _Probes(), ThreadPoolExecutor()
    asked = [pool.submit(_answering, release, own, probes) for release in wanted]  # all at once
    try:
        for release, answer in zip(wanted, asked, strict=True):
            try:
                chosen = answer.result()
            except OutOfReachError as error:
                reasons.append(str(error))
                continue
            if reasons:
                _tell_of_another(wanted[0], release, reasons[0], progress)
            return replace(chosen, instead_of="".join(reasons[:1]))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        probes.end()  # Python waits for its threads before it ends
    lines = [f"{r.title}: {why}" for r, why in zip(wanted, reasons, strict=True)]
    raise ToipLabError(
        "the packages are out of reach\n  " + "\n  ".join(lines), hint=UNREACHABLE_HINT
    )


@dataclass
class _Probes:
    """The threads that ask; what they wait for is not always wanted to its end."""

    threads: list[int] = field(default_factory=list)
    over: bool = False

    def end(self) -> None:
        """Have them ask no more."""
        self.over = True
        for thread in self.threads:
            host.signal_children_of(thread, signal.SIGTERM)


def _answering(release: Release, own: Archive | None, probes: _Probes) -> Chosen:
    """The release, with the first place of its packages that answers; ``own`` is the only one."""
    probes.threads.append(threading.get_native_id())
    places: Iterable[Archive] = [own] if own else places_of(release)
    failed: list[str] = []
    for place in places:
        if probes.over:
            break
        sources = sources_of(release, place)
        try:
            return Chosen(release, sources, signed=ask(sources, release))
        except OutOfReachError as error:
            failed.append(str(error))
    raise OutOfReachError("; ".join(failed) or "no mirror is known for it")


def _tell_of_another(wanted: Release, taken: Release, why: str, progress: Progress) -> None:
    progress.warn(f"{wanted.title} is what is asked for, but its packages are out of reach: {why}")
    progress.warn(
        f"building {taken.title} instead, with the same Asterisk {taken.asterisk}; "
        f"to insist: --release {wanted.codename}"
    )


def sources_of(release: Release, archive: Archive) -> tuple[Source, ...]:
    """The release's suites, each at the archive that holds it."""
    return tuple(
        Source(archive.security if suite.area == "security" else archive.main, suite.name)
        for suite in release.suites
    )


class OutOfReachError(Exception):
    """Why apt cannot reach a release's archives."""


def ask(sources: Sequence[Source], release: Release) -> tuple[Index, ...]:
    """What the signed indexes of a release's suites are now, not verified yet.

    They are asked for as apt would (same proxies), all at once, within ``PROBE_SECONDS``.

    Raises:
        OutOfReachError: the first that cannot be had, and why.
    """
    with tempfile.TemporaryDirectory(prefix="toip-lab-probe-") as folder:
        log = Path(folder, "log")
        places = {source: Path(folder, str(number)) for number, source in enumerate(sources)}
        options = (f'Acquire::http::Timeout "{PROBE_SECONDS}";', 'Acquire::Retries "0";')
        wanted = {source.release_file: place for source, place in places.items()}
        apt.download(wanted, options, within=PROBE_SECONDS, log=log)
        said = log.read_text(encoding="utf-8", errors="replace")
        return tuple(
            _answer(source.release_file, place, said, release.codename)
            for source, place in places.items()
        )


def _answer(url: str, place: Path, said: str, codename: str) -> Index:
    if not place.exists():
        pattern = rf"^(?:E|Error): Failed to fetch {re.escape(url)}\s+(.*)$"
        failed = re.search(pattern, said, re.MULTILINE)
        reason = failed[1].strip() if failed else f"no answer within {PROBE_SECONDS} s"
        raise OutOfReachError(f"{url}: {reason}")
    content = place.read_bytes()
    if not re.search(rb"^Codename: %b\b" % re.escape(codename).encode(), content, re.MULTILINE):
        raise OutOfReachError(f"{url}: what answers is not the index of {codename}")
    return Index(url, hashlib.sha256(content).hexdigest())


def _named(name: str, releases: Sequence[Release]) -> Release:
    for release in releases:
        if release.codename == name:
            return release
    return by_codename(name)


def _mirror(url: str) -> Archive:
    main = _through_the_cache(url)
    if urlsplit(main).scheme not in SCHEMES or not main.endswith("/debian"):
        raise ToipLabError(f"mirror {url!r}: not the address of a mirror", hint=MIRROR_HINT)
    if _holds_an_account(main):
        raise ToipLabError(
            "mirror: its address holds an account, which would be written into the appliance",
            hint="put the account into /etc/apt/auth.conf.d, see apt_auth.conf(5)",
        )
    return Archive(main=main, security=f"{main}-security")


def _through_the_cache(url: str) -> str:
    """An address whose files apt keeps in its cache."""
    return re.sub(r"^file:", "copy:", url.rstrip("/"))


def _holds_an_account(url: str) -> bool:
    return urlsplit(url).username is not None


def places_of(release: Release) -> Iterator[Archive]:
    """Where a release's packages may be, best first: its archive, else the live mirrors."""
    if release.archive is not None:
        yield release.archive
        return
    own = host_mirror()
    if own is not None:
        yield own
    default = _mmdebstrap_default(release)  # which takes a moment: asked when it is needed
    if own is None and (own := host_mirror(default)) is not None:
        yield own
    if default is not None and default != own:
        yield default


def host_mirror(default: Archive | None = None) -> Archive | None:
    """The Debian mirror of this machine's own apt; None on a system without one.

    A missing security mirror is taken from ``default``.
    """
    APT_MEMORY.mkdir(parents=True, exist_ok=True)
    memory = [
        f"--option=Dir::Cache::{name}={APT_MEMORY / name}.bin"
        for name in ("pkgcache", "srcpkgcache")
    ]
    listing = host.run(
        [
            *("apt-get", *memory, "indextargets"),
            *("--format", "$(REPO_URI)|$(LABEL)", "Created-By: Packages"),
        ],
        env={"LC_ALL": "C.UTF-8"},
        check=False,
    ).output
    return read_indextargets(listing, default)


def read_indextargets(listing: str, default: Archive | None = None) -> Archive | None:
    """Read ``REPO_URI|LABEL`` lines of apt-get indextargets(8).

    The label comes from the downloaded Release file; before the first ``apt-get
    update`` apt leaves it out, and the folder's name must do. An address that holds an
    account is passed over: it would be written into the appliance.
    """
    main = security = ""
    for row in listing.splitlines():
        uri, _, label = row.partition("|")
        uri = _through_the_cache(uri)
        if uri.startswith("cdrom:") or _holds_an_account(uri):
            continue
        known = label if label and "$(" not in label else ""
        if known == "Debian" or (not known and uri.endswith("/debian")):
            main = main or uri
        elif known == "Debian-Security" or (not known and uri.endswith("/debian-security")):
            security = security or uri
    if not main:
        return None
    if not security and default is not None:
        security = default.security
    return Archive(main=main, security=security) if security else None


def _mmdebstrap_default(release: Release) -> Archive | None:
    with tempfile.TemporaryDirectory(prefix="toip-lab-sources-") as folder:
        log = Path(folder, "log")
        host.run(
            [
                "mmdebstrap",
                "--variant=custom",
                "--format=null",
                "--skip=update,cleanup,check,check/signed-by",
                # ending with an error here stops it before it does anything
                '--setup-hook=cat "$1"/etc/apt/sources.list >&2; false',
                release.codename,
                "-",
            ],
            log=log,
            cwd=Path("/tmp"),  # noqa: S108 -- mmdebstrap's namespace must be able to enter it
            check=False,
        )
        return read_sources_list(log.read_text(encoding="utf-8", errors="replace"), release)


def read_sources_list(text: str, release: Release) -> Archive | None:
    """The archives that one-line entries of sources.list(5) give for a release's suites."""
    areas = {suite.name: suite.area for suite in release.suites}
    found: dict[str, str] = {}
    for uri, suite in re.findall(r"^deb (?:\[[^\]]*\] )?(\S+) (\S+) ", text, re.MULTILINE):
        if suite in areas:
            found.setdefault(areas[suite], uri.rstrip("/"))
    if "main" not in found or "security" not in found:
        return None
    return Archive(main=found["main"], security=found["security"])
