"""The bill of materials, in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).

In it are every Debian package of the image, as the build manifest has it, and every Python
package of the environment that built it, in scope ``excluded``: the image holds none of those.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from toiplab import files
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.manifest import Manifest, PackageRecord
from toiplab.release.gate import Proven

LOCK = PROJECT / "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


def write(proven: Proven, path: Path) -> None:
    """Write the bill of materials of an OVA; that of the same OVA is always the same."""
    text = JsonV1Dot6(bill(proven.candidate.manifest, proven.version)).output_as_string(indent=1)
    files.write(path, text.encode() + b"\n")


def bill(built: Manifest, version: str) -> Bom:
    """The bill of materials of the OVA a manifest speaks for."""
    appliance = Component(
        name=built.ova,
        version=version,
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref="appliance",
        description=f"Debian {built.debian} ({built.release}), lab {built.lab.name}",
        hashes=[_sha256(built.ova_sha256)],
    )
    debian = [_debian_package(each, built) for each in built.packages]
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"urn:sha256:{built.ova_sha256}"),
        components=[*debian, *_python_packages()],
    )
    bom.metadata.component = appliance
    bom.metadata.timestamp = datetime.fromtimestamp(built.epoch, UTC)
    bom.register_dependency(appliance, debian)
    return bom


def _debian_package(package: PackageRecord, built: Manifest) -> Component:
    purl = PackageURL(
        "deb",
        "debian",
        package.name,
        package.version,
        {"arch": package.architecture, "distro": f"debian-{built.debian}"},
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=[_sha256(package.sha256)],
        properties=[
            Property(name="debian:source", value=package.source),
            Property(name="debian:suite", value=package.suite),
        ],
    )


def _python_packages() -> Iterator[Component]:
    """Those of the lock file that are installed here: some are for other systems only.

    Raises:
        ToipLabError: one is installed at another version.
    """
    pinned: dict[str, list[str]] = {}
    for name, version in PIN.findall(LOCK.read_text(encoding="utf-8")):
        pinned.setdefault(name, []).append(version)  # some have one for each Python
    for name, versions in pinned.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if version not in versions:
            raise ToipLabError(
                f"{name} {version} is installed, {LOCK.name} says {' or '.join(versions)}",
                hint="make the Python environment anew: rm -r .venv; make setup",
            )
        purl = PackageURL("pypi", None, name, version)
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=purl.to_string(),
            scope=ComponentScope.EXCLUDED,
        )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
