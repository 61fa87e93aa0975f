"""Whether the OVA in ``dist/`` is what a build would make now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toiplab import manifest
from toiplab.builders.contract import Request, ova_path
from toiplab.builders.pack import package_list
from toiplab.builders.sources import Chosen
from toiplab.errors import ToipLabError
from toiplab.manifest import Manifest


def up_to_date(
    request: Request, chosen: Chosen, *, builder: str, tools: Mapping[str, str]
) -> Path | None:
    """The OVA in ``dist/``, if lab, checkout, package indexes and options still ask for it.

    It is compared by content, with what its manifest says: a damaged one is not up to date.
    ``tools`` are the versions of the host's programs that decide what is built.
    """
    ova = ova_path(request, chosen.release.version)
    try:
        kept = manifest.read(ova)
    except ToipLabError:  # there is none, or it was never finished
        return None
    wanted = (
        request.is_met_by(kept)
        and (kept.builder, kept.release) == (builder, chosen.release.codename)
        and tools.items() <= kept.tools.items()
        and _same_indexes(kept, chosen)
    )
    return ova if wanted and _is_the_file_of(kept, ova) else None


def _same_indexes(kept: Manifest, chosen: Chosen) -> bool:
    """Whether packages come from the same suites, whose signed indexes are as they were."""
    then = {index.url: index.sha256 for index in kept.indexes}
    return [(source.uri, source.suite) for source in kept.sources] == [
        (source.uri, source.suite) for source in chosen.sources
    ] and all(then.get(index.url) == index.sha256 for index in chosen.signed)


def _is_the_file_of(kept: Manifest, ova: Path) -> bool:
    if not (ova.is_file() and package_list(ova).is_file()):
        return False
    try:
        manifest.verify(kept, ova)
    except ToipLabError:
        return False
    return True
