"""What Packer is given for one build, in a folder that goes with it: it holds secrets."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from toiplab import files, host, render
from toiplab.builders.packer import mirror
from toiplab.builders.plan import Plan
from toiplab.builders.sources import Source
from toiplab.host import PROJECT

PROVISION = PROJECT / "scripts" / "provision.sh"


@dataclass(frozen=True)
class Workspace:
    """The files of one build, in ``folder``."""

    folder: Path

    @property
    def http(self) -> Path:
        """What Packer serves to the installer: the preseed."""
        return self.folder / "http"

    @property
    def key(self) -> Path:
        """The ssh key that the build logs in with, thrown away at its end."""
        return self.folder / "key"

    @property
    def stage(self) -> Path:
        """The tar for scripts/install-packages.sh."""
        return self.folder / "stage.tar"

    @property
    def variables(self) -> Path:
        """The template's variables."""
        return self.folder / "variables.json"

    @property
    def output(self) -> Path:
        """Where Packer puts what it made; Packer wants to make this folder itself."""
        return self.folder / "output"

    @property
    def installed(self) -> Path:
        """The packages of the machine, as it tells them at the end."""
        return self.folder / "installed"

    def prepare(self, planned: Plan) -> None:
        """Write preseed, key and stage.

        Raises:
            ToipLabError: the mirror cannot be used by the installer.
        """
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-C", "toip-lab", "-N", ""]
        host.run([*words, "-f", str(self.key)])
        public = self.key.with_suffix(".pub").read_text(encoding="ascii").strip()
        told = installation(planned.chosen.sources, key=public)
        preseed = render.preseed(planned.inputs, told)
        files.write(self.http / "preseed.cfg", preseed.encode(), mode=0o600)
        files.write(self.stage, _stage(planned, self.folder / "rendered"), mode=0o600)

    def set_variables(self, values: dict[str, object]) -> None:
        """Write the template's variables, those of the workspace among them."""
        own = {
            "http_directory": str(self.http),
            "ssh_private_key": str(self.key),
            "stage": str(self.stage),
            "output": str(self.output),
            "installed": str(self.installed),
        }
        text = json.dumps({**own, **values}, indent=1)
        files.write(self.variables, text.encode(), mode=0o600)


def installation(sources: tuple[Source, ...], *, key: str) -> render.Installation:
    """What the installer is told besides the lab.

    Raises:
        ToipLabError: it cannot use the mirror.
    """
    place = mirror.of(sources)
    return render.Installation(place.host, place.folder, place.proxy, key)


def _stage(planned: Plan, folder: Path) -> bytes:
    """The tar that scripts/install-packages.sh describes."""
    rendered, package_set = planned.rendered, planned.package_set
    render.write(rendered, folder)
    sources = (mirror.seen_by_guest(source) for source in planned.chosen.sources)
    texts = {
        "packages.cfg": rendered.debconf,
        "packages": "".join(f"{p.name}={p.version}\n" for p in package_set.packages),
        "sources.list": "".join(f"{source.line()}\n" for source in sources),
        "preferences": package_set.preferences,
    }
    contents = {PurePosixPath(name): text.encode() for name, text in texts.items()}
    contents |= {
        PurePosixPath("early") / place.relative_to("/"): content
        for place, content in rendered.early.items()
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder / "stage", "stage")
        tar.add(PROVISION, f"stage/{PROVISION.name}")
        for name, content in contents.items():
            entry = tarfile.TarInfo(str(name))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
