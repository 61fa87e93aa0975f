"""An apt of its own: its own sources, lists, cache and empty package status.

Nothing of this machine's apt is touched, and of its configuration only what says
how to reach the network is used. See apt.conf(5); no root rights are needed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toiplab import files, host
from toiplab.errors import ToipLabError
from toiplab.releases import Release

APT_HELPER = Path("/usr/lib/apt/apt-helper")
ARCHITECTURE = "amd64"
NETWORK = re.compile(r"^Acquire::(?:https?|ftp|Force|Proxy|socks)[^ ]* ")
SAID = re.compile(
    r"^(?:E|W|Error|Warning): .*(?:\n {2,}\S.*)*|^ \S+ : .*(?:\n {4,}\S.*)*", re.MULTILINE
)
SHOWN_LINES = 8

# What apt says, what that means, and what would mend it; the first that matches counts.
COMPLAINTS = (
    (
        r"No space left on device|don't have enough free space",
        "the disk is full",
        "free some space, or remove the cache folder",
    ),
    (
        r"Could not get lock|Unable to lock",
        "another build is using the same cache",
        "wait for it to end",
    ),
    (
        r"NO_PUBKEY|Missing key",
        "its signature is by no key that is trusted for it",
        "install or update the package debian-archive-keyring; for a mirror with keys of "
        "its own, name its keyring",
    ),
    (
        r"EXPKEYSIG|KEYEXPIRED|EXPSIG|key.*expired",
        "it is signed only by keys that have expired",
        "update the package debian-archive-keyring, and check this machine's clock",
    ),
    (
        r"Release file for .* (?:is expired|is not valid yet)|is (?:expired|not valid yet)",
        "its index is out of date (Valid-Until) or not valid yet",
        "check this machine's clock; a mirror that is no longer updated cannot be used",
    ),
    (
        r"BADSIG|is not bound|not considered secure|invalid signature|Malformed|NODATA|not signed",
        "its signature does not hold",
        "the mirror may be damaged or mid-update: try again later, or name another (--mirror)",
    ),
    (
        r"Could not resolve|Temporary failure resolving",
        "its name cannot be resolved",
        "check the network and the proxy, or name another mirror (--mirror)",
    ),
    (
        r"Hash Sum mismatch|unexpected size|File has unexpected",
        "what it sent is not what its index promises",
        "the mirror may be mid-update, or a proxy damages files: try again later",
    ),
    (r"Unable to locate package|no installation candidate", "there is no such package", ""),
    (r"held broken packages|unmet dependencies", "the packages do not fit together", ""),
    (
        r"\b404\b|File not found|does not have a Release file",
        "a file is missing on it",
        "name another mirror (--mirror)",
    ),
    (
        r"Could not connect|Connection refused|timed out|Connection failed|Unable to connect",
        "it does not answer",
        "check the network and the proxy, or name another mirror (--mirror)",
    ),
)


def network_options() -> list[str]:
    """The lines of this machine's apt configuration that say how to reach the network."""
    dump = host.run(["apt-config", "dump"], env={"LC_ALL": "C.UTF-8"}, check=False).output
    return [line for line in dump.splitlines() if NETWORK.match(line)]


def download(wanted: Mapping[str, Path], options: Sequence[str], *, within: int, log: Path) -> int:
    """Fetch files with apt's own downloader, and return its exit status.

    It goes through the proxies that apt goes through, and goes on with a part that is there.

    Args:
        wanted: where each address is to go; their content is not checked.
        options: lines of apt.conf(5) beside those that say how to reach the network.
        within: in seconds; 0 for as long as it takes.
        log: what it says is added there.
    """
    with tempfile.TemporaryDirectory(prefix="toip-lab-apt-") as folder:
        config = Path(folder, "apt.conf")
        lines = [*network_options(), f'Dir "{folder}/";', 'APT::Sandbox::User "root";', *options]
        # written, not passed as an argument: a proxy's address may carry a password
        files.write(config, "".join(f"{line}\n" for line in lines).encode(), mode=0o600)
        # of each: its address, its place, and its hash, which nobody knows yet
        words = [word for url, place in wanted.items() for word in (url, place, "")]
        return host.run(
            ["timeout", str(within), APT_HELPER, "download-file", *words],
            log=log,
            env={"APT_CONFIG": str(config), "LC_ALL": "C.UTF-8"},
            check=False,
        ).status


def complaint(said: str, doing: str) -> ToipLabError:
    """The error for what apt said while ``doing`` something: its meaning, its own lines."""
    lines = [line for entry in SAID.findall(said) for line in entry.splitlines()]
    own = "".join(f"\n  | {line}" for line in lines[:SHOWN_LINES])
    for pattern, meaning, hint in COMPLAINTS:
        if re.search(pattern, "\n".join(lines)):
            return ToipLabError(f"{doing}: {meaning}{own}", hint=hint)
    return ToipLabError(f"{doing}: apt failed{own}")


@dataclass(frozen=True)
class Outcome:
    """How an apt command ended and all it printed."""

    status: int
    said: str


@dataclass(frozen=True)
class Apt:
    """A private apt in ``folder``, with its downloaded packages in ``debs``."""

    folder: Path
    debs: Path
    log: Path

    @property
    def lists(self) -> Path:
        """The verified indexes, as apt names them."""
        return self.folder / "var/lib/apt/lists"

    def prepare(self, source_lines: Sequence[str], *, release: Release) -> None:
        """Lay the folder out for a release's sources, without preferences."""
        for path in (
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt",
        ):
            (self.folder / path).mkdir(parents=True, exist_ok=True)
        (self.debs / "partial").mkdir(parents=True, exist_ok=True)
        files.write(self.folder / "status", b"")
        files.write(self.folder / "etc/apt/sources.list", _text(source_lines))
        self.prefer("")
        valid_until = "true" if release.valid_until else "false"
        options = [
            f'Dir "{self.folder}/";',
            f'Dir::State::status "{self.folder}/status";',
            f'Dir::Cache::archives "{self.debs}/";',
            f'APT::Architecture "{ARCHITECTURE}";',
            f'APT::Architectures {{ "{ARCHITECTURE}"; }};',
            'APT::Install-Recommends "false";',
            'APT::Sandbox::User "root";',  # the folder may be where _apt cannot read
            'Acquire::Languages "none";',
            'Acquire::GzipIndexes "false";',
            'Acquire::PDiffs "false";',
            'Acquire::Retries "1";',
            'Acquire::http::Timeout "20";',
            'Acquire::https::Timeout "20";',
            f'Acquire::Check-Valid-Until "{valid_until}";',
            *network_options(),
        ]
        files.write(self.folder / "apt.conf", _text(options), mode=0o600)  # a proxy's password

    def prefer(self, preferences: str) -> None:
        """Set the pins, in the form of apt_preferences(5)."""
        files.write(self.folder / "etc/apt/preferences", preferences.encode())

    def run(self, program: str, *arguments: str) -> Outcome:
        """Run one of apt's programs on this folder and return all it printed."""
        before = self.log.stat().st_size if self.log.exists() else 0
        ended = host.run(
            [program, *arguments],
            log=self.log,
            env={"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"},
            check=False,
        )
        with self.log.open("rb") as log:
            log.seek(before)
            return Outcome(ended.status, log.read().decode(errors="replace"))

    def update(self, doing: str) -> None:
        """Download and verify the indexes.

        Raises:
            ToipLabError: an index is missing, out of date, or not properly signed.
        """
        outcome = self.run("apt-get", "update", "--error-on=any")
        if outcome.status != 0:
            raise complaint(outcome.said, doing)


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
