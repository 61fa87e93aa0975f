"""The build manifest: what went into an OVA, kept beside it, and read by the exam."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from toiplab import files
from toiplab.errors import ToipLabError
from toiplab.faults import first_fault
from toiplab.image.vmdk import Compression


class Record(BaseModel):
    """A part of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabRecord(Record):
    """The lab file that was built: its path from the project's top, and its hash."""

    name: str
    file: str
    sha256: str


class SourceRecord(Record):
    """A suite that packages came from."""

    uri: str
    suite: str


class IndexRecord(Record):
    """An index of packages, as it was when the image was built."""

    url: str
    sha256: str


class PackageRecord(Record):
    """A package of the image; ``candidate`` is the newest version its suites had (row I5)."""

    name: str
    version: str
    architecture: str
    source: str
    suite: str
    sha256: str
    candidate: str


class SubstitutionRecord(Record):
    """A source package taken at an older version, since the mirror lacked the newer."""

    source: str
    missing_version: str
    missing_files: tuple[str, ...]
    taken_version: str
    binaries: tuple[str, ...]


class IsoRecord(Record):
    """The installer's image that a machine was installed from."""

    name: str
    sha256: str


class StageRecord(Record):
    """How long a stage of the build took, in seconds."""

    title: str
    seconds: float


class Manifest(Record):
    """Everything that went into an OVA.

    ``inputs_sha256`` is of the lab file, its secrets and what in the checkout decides the
    image; ``epoch`` is the newest time in the image, in seconds since 1970. ``compression``
    is that of the disk; None where VirtualBox compressed it. ``iso`` is None where no installer
    ran.
    """

    toip_lab: str
    builder: str
    tools: dict[str, str]
    lab: LabRecord
    inputs_sha256: str
    release: str
    debian: str
    epoch: int
    sources: tuple[SourceRecord, ...]
    indexes: tuple[IndexRecord, ...]
    iso: IsoRecord | None = None
    substitutions: tuple[SubstitutionRecord, ...]
    packages: tuple[PackageRecord, ...]
    disk_uuid: str
    compression: Compression | None = None
    ova: str
    ova_sha256: str
    ova_bytes: int
    stages: tuple[StageRecord, ...]


def path_for(ova: Path) -> Path:
    """Where the manifest of an OVA is: beside it."""
    return ova.with_suffix(".manifest.json")


def write(manifest: Manifest, ova: Path) -> None:
    """Write the manifest beside its OVA."""
    files.write(path_for(ova), manifest.model_dump_json(indent=1).encode() + b"\n")


def verify(manifest: Manifest, ova: Path) -> None:
    """Check that a manifest is that of this OVA: by name, size and SHA-256.

    Raises:
        ToipLabError: it speaks of another file.
    """
    size = ova.stat().st_size
    if (manifest.ova, manifest.ova_bytes) != (ova.name, size):
        which = f"{manifest.ova}, {manifest.ova_bytes} bytes"
    elif manifest.ova_sha256 != files.sha256(ova):
        which = f"SHA-256 {manifest.ova_sha256}"
    else:
        return
    raise ToipLabError(
        f"{path_for(ova)}: speaks of another file ({which})", hint="build again: make ova"
    )


def read(ova: Path) -> Manifest:
    """Read the manifest beside an OVA.

    Raises:
        ToipLabError: there is none, or it is not one.
    """
    path = path_for(ova)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ToipLabError(
            f"{path}: {error.strerror}",
            hint="the build writes it beside the OVA; keep the two together",
        ) from error
    except ValidationError as error:
        raise ToipLabError(
            f"{path}: {first_fault(error)}", hint="build again: invoke build-ova"
        ) from error
