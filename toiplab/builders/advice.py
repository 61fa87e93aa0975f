"""What the doctor says of the places packages come from: reachable, whole, or what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from toiplab import manifest
from toiplab.builders.packer.build import qemu_readiness, virtualbox_readiness
from toiplab.builders.sources import (
    UNREACHABLE_HINT,
    OutOfReachError,
    ask,
    places_of,
    sources_of,
)
from toiplab.doctor import Finding
from toiplab.errors import ToipLabError
from toiplab.releases import RELEASES, Release

WHOLE_MIRROR = "another mirror may be whole: --mirror http://HOST/debian"


def of_releases(releases: Sequence[Release] = RELEASES) -> Iterator[Finding]:
    """Whether the packages of each release can be reached now."""
    for release in releases:
        reasons = []
        for place in places_of(release):
            try:
                ask(sources_of(release, place), release)
            except OutOfReachError as error:
                reasons.append(str(error))
            else:
                yield Finding(release.title, f"reachable at {place.main}")
                break
        else:
            why = "; ".join(reasons) or "no mirror is known for it"
            yield Finding(release.title, why, good=False, mend=UNREACHABLE_HINT)


def of_packer() -> Iterator[Finding]:
    """Whether the builders that use Packer can run."""
    for name, readiness in (("qemu", qemu_readiness), ("virtualbox", virtualbox_readiness)):
        try:
            yield Finding(name, readiness())
        except ToipLabError as error:
            yield Finding(name, error.message, good=False, mend=error.hint)


def of_last_build(dist: Path) -> Iterator[Finding]:
    """What the newest OVA's build had to take at an older version, by its manifest."""
    newest = max(dist.glob("*.ova"), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return
    try:
        built = manifest.read(newest)
    except ToipLabError:  # smoke and boot say what is wrong with it
        return
    for substitution in built.substitutions:
        yield Finding(
            substitution.source,
            f"{newest.name} has {', '.join(substitution.binaries)} at "
            f"{substitution.taken_version}: of {substitution.missing_version} the mirror lacked "
            + ", ".join(name.partition("_")[0] for name in substitution.missing_files),
            good=False,
            mend=WHOLE_MIRROR,
        )
