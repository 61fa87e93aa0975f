"""The contract every builder meets: a lab in, an OVA with its manifest out."""

from __future__ import annotations

import fcntl
import hashlib
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toiplab import files, manifest
from toiplab.errors import ToipLabError
from toiplab.host import PROJECT
from toiplab.image.vmdk import Compression
from toiplab.lab import secrets
from toiplab.lab.load import load
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.manifest import Manifest

# What decides an image's content besides the lab file, its secrets and the packages.
RECIPE = (
    "overlay",
    "preseed",
    "packer",
    "scripts/provision.sh",
    "scripts/install-packages.sh",
    "scripts/make-root.sh",
    "scripts/mke2fs.conf",
    "toiplab/__init__.py",
    "toiplab/hardware.py",
    "toiplab/releases.py",
    "toiplab/render.py",
    "toiplab/lab",
    "toiplab/builders",
    "toiplab/image",
    "requirements.lock",
)


@dataclass(frozen=True)
class Project:
    """Where a checkout keeps what it makes: OVAs in ``dist``, all else in ``build``."""

    top: Path = PROJECT

    @property
    def dist(self) -> Path:
        """Finished OVAs, each with its manifest and package list."""
        return self.top / "dist"

    @property
    def build(self) -> Path:
        """Logs, rendered files and whatever may be thrown away."""
        return self.top / "build"

    @property
    def cache(self) -> Path:
        """Downloaded packages, shared by the builds of all labs."""
        return self.build / "cache"


@dataclass(frozen=True)
class Request:
    """What to build: a lab, checked, with its secrets; ``release`` may be ``auto``.

    ``iso`` is the installer's image where it is not to be fetched; only the builders that
    use Packer want one. ``compression`` is of the disk in the OVA. With ``fresh``
    nothing that an earlier build made is used.
    """

    lab: Lab
    lab_file: Path
    secrets: Secrets
    release: str
    mirror: str | None = None
    project: Project = Project()
    iso: Path | None = None
    compression: Compression = Compression.FAST
    fresh: bool = False

    @classmethod
    def read(
        cls,
        lab_file: Path,
        *,
        release: str | None = None,
        mirror: str | None = None,
        project: Project | None = None,
        iso: Path | None = None,
        compression: Compression = Compression.FAST,
        fresh: bool = False,
    ) -> Request:
        """Read and check a lab file; ``release`` overrides the one it names.

        Raises:
            ToipLabError: the lab file or its secrets file cannot be used.
        """
        lab = load(lab_file)
        kept = secrets.for_lab(lab, lab_file)
        release = release or lab.release
        return cls(
            lab, lab_file, kept, release, mirror, project or Project(), iso, compression, fresh
        )

    @property
    def folder(self) -> Path:
        """Where this lab's intermediate files and logs are."""
        return self.project.build / self.lab.name

    def digest(self) -> str:
        """A hash of the lab file, its secrets and everything in the checkout that decides."""
        own = _hash_of({"lab": self.lab_file, "secrets": self.secrets_path()})
        return hashlib.sha256(f"{own} {self.recipe()}".encode()).hexdigest()

    def recipe(self) -> str:
        """A hash of everything in the checkout that decides, whatever the lab."""
        named: dict[str, Path] = {}
        for name in RECIPE:
            top = self.project.top / name
            paths = sorted(top.rglob("*")) if top.is_dir() else [top]
            named |= {str(path.relative_to(self.project.top)): path for path in paths}
        return _hash_of(named)

    def is_met_by(self, kept: Manifest) -> bool:
        """Whether an OVA with this manifest is what a build would make now.

        ``fast`` is a wish for speed: any compression meets it, also that of an OVA which
        VirtualBox exported.
        """
        return (
            self.release in ("auto", kept.release)
            and self.compression in (Compression.FAST, kept.compression)
            and self.digest() == kept.inputs_sha256
        )

    def secrets_path(self) -> Path:
        """Where the generated secrets are kept."""
        return secrets.path_for(self.lab_file)

    def lab_path(self) -> str:
        """The lab file as a person names it: from the checkout's top where it is inside."""
        resolved, top = self.lab_file.resolve(), self.project.top.resolve()
        return str(resolved.relative_to(top) if resolved.is_relative_to(top) else resolved)


def _hash_of(named: Mapping[str, Path]) -> str:
    hashed = hashlib.sha256()
    for name, path in named.items():
        if path.is_file() and path.suffix != ".pyc":
            content = files.sha256(path)
            hashed.update(f"{content} {name}\n".encode())
    return hashed.hexdigest()


def ova_path(request: Request, version: str) -> Path:
    """The OVA's name says the lab and the Debian that was built."""
    return request.project.dist / f"toip-lab-{request.lab.name}-debian{version}.ova"


def check_owner(request: Request, version: str) -> None:
    """Refuse to replace the OVA of another lab file, whose secrets are others.

    Raises:
        ToipLabError: the OVA of that name was built from another file.
    """
    target = ova_path(request, version)
    try:
        owner = manifest.read(target).lab.file
    except ToipLabError:  # there is none, or nobody can use it
        return
    if target.exists() and owner != request.lab_path():
        raise ToipLabError(
            f"{target}: there already, built from {owner}",
            hint=f"give {request.lab_file} another name (its key name), or remove that OVA",
        )


@contextmanager
def one_build_at_a_time(project: Project) -> Iterator[None]:
    """Hold the checkout's build lock; it goes with the process, however that ends.

    Raises:
        ToipLabError: another build of this checkout is running.
    """
    project.build.mkdir(parents=True, exist_ok=True)
    with (project.build / ".lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ToipLabError(
                f"another build is running in {project.top}", hint="wait for it to end"
            ) from error
        yield


def check_machine() -> None:
    """Refuse a machine whose programs cannot run in the image.

    Raises:
        ToipLabError: the processor is not the image's.
    """
    if platform.machine() not in {"x86_64", "AMD64"}:
        raise ToipLabError(
            f"this machine is {platform.machine()}; the appliance is amd64",
            hint="build on a 64-bit PC (x86_64)",
        )
