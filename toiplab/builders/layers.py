"""The two layers that a direct build keeps: Debian with its packages, and the lab's disk.

packages
    The root file system as a tar, and the packages resolved. Its key is made of the release,
    the suites and their signed indexes, the packages asked for, debconf's answers, the files
    that are laid before them, and what makes it. (A signed index pins the hash of every
    package of its suite, so that what is asked for and the indexes tell the versions.)
disk
    The compressed disk. Its key is made of that of the package layer, of all that is
    rendered, the disk's size, the checkout's recipe, and what makes it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from toiplab import files, host
from toiplab.builders.cache import Store, key_of
from toiplab.builders.contract import Request
from toiplab.builders.indexes import Index
from toiplab.builders.packages import PackageSet
from toiplab.builders.plan import Survey
from toiplab.image.vmdk import VmdkInfo

DECIDING = ("mmdebstrap", "mke2fs", "debugfs")  # the host's programs whose version decides
# What chooses the packages, and what installs them.
MAKES_PACKAGES = ("apt.py", "bootstrap.py", "indexes.py", "packages.py", "sources.py")
NAMESPACE = uuid.UUID("5b1d0c4a-6f0e-4a52-9c55-7f0b9d1f10e5")  # of toip-lab's own uuids
ROOT, RESOLVED = "root.tar", "packages.json"
FACTS = "facts.json"
SIGNED = "/InRelease"


@dataclass(frozen=True)
class PackageLayer:
    """Debian with its packages: ``root`` is a tar of it."""

    key: str
    root: Path
    package_set: PackageSet


@dataclass(frozen=True)
class DiskLayer:
    """The lab's disk as a VMDK."""

    vmdk: Path
    info: VmdkInfo


@dataclass(frozen=True)
class Identity:
    """What names the disk and its file system; derived from all that goes in."""

    fs_uuid: uuid.UUID
    disk_signature: int

    @classmethod
    def derive(cls, key: str) -> Identity:
        """The identity of the disk of that key."""
        digest = hashlib.sha256(key.encode()).digest()
        return cls(uuid.uuid5(NAMESPACE, key), int.from_bytes(digest[:4]) or 1)


def package_key(survey: Survey, signed: Sequence[Index], tools: Mapping[str, str]) -> str:
    """The key of the package layer made from these signed indexes by tools of these versions."""
    rendered = survey.rendered
    return key_of(
        "packages",
        repr(survey.chosen.release),
        repr(survey.chosen.sources),
        repr(sorted((index.url, index.sha256) for index in signed)),
        repr((survey.priorities, rendered.packages)),
        rendered.debconf,
        repr(sorted(rendered.early.items())),
        *(Path(__file__).with_name(name).read_bytes() for name in MAKES_PACKAGES),
        repr(host.same_everywhere(epoch=0)),
        repr(sorted(tools.items())),
    )


def disk_key(base: str, survey: Survey, request: Request, tools: Mapping[str, str]) -> str:
    """The key of the disk on the package layer of key ``base``."""
    rendered = survey.rendered
    return key_of(
        "disk",
        base,
        request.recipe(),
        repr(rendered.overlay),
        rendered.settings,
        rendered.passwords,
        repr(request.lab.machine.disk),
        repr(sorted(tools.items())),
    )


def kept_packages(store: Store, key: str) -> PackageLayer | None:
    """The package layer of that key, if it is kept."""
    if (entry := store.find(key)) is None:
        return None
    try:
        resolved = TypeAdapter(PackageSet).validate_json((entry / RESOLVED).read_bytes())
    except ValidationError:  # of an earlier version of this code
        return None
    return PackageLayer(key, entry / ROOT, resolved)


def keep_packages(
    store: Store, key: str, package_set: PackageSet, make: Callable[[Path], None]
) -> PackageLayer:
    """Keep a package layer whose tar ``make`` writes to the path it is given."""
    with store.adding(key) as folder:
        make(folder / ROOT)
        files.write(folder / RESOLVED, TypeAdapter(PackageSet).dump_json(package_set))
    return PackageLayer(key, store.folder / key / ROOT, package_set)


def kept_disk(store: Store, key: str, name: str) -> DiskLayer | None:
    """The disk of that key, if it is kept; ``name`` is that of its VMDK."""
    if (entry := store.find(key)) is None:
        return None
    try:
        info = TypeAdapter(VmdkInfo).validate_json((entry / FACTS).read_bytes())
    except ValidationError:
        return None
    return DiskLayer(entry / name, info)


def keep_disk(store: Store, key: str, name: str, make: Callable[[Path], VmdkInfo]) -> DiskLayer:
    """Keep a disk whose VMDK ``make`` writes to the path it is given, of that name."""
    with store.adding(key) as folder:
        info = make(folder / name)
        files.write(folder / FACTS, TypeAdapter(VmdkInfo).dump_json(info))
    return DiskLayer(store.folder / key / name, info)


def signed_of(package_set: PackageSet) -> list[Index]:
    """The suites' signed indexes that a package set was resolved from."""
    return [index for index in package_set.indexes if index.url.endswith(SIGNED)]
