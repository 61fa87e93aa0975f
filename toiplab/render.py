"""From lab and release to the files a builder needs: pure, the same bytes every time.

``overlay/`` and ``preseed/`` are read as one reads them: a file named ``….j2`` is a
template, any other is copied, and a template that comes out empty is not laid on the
target (an option that the lab file did not take).
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from uuid import UUID

import jinja2

from toiplab import files
from toiplab.host import PROJECT
from toiplab.lab.model import SIP_PORT, Context, Lab
from toiplab.lab.numbering import dial_patterns
from toiplab.lab.secrets import Secrets
from toiplab.lab.types import PortRange, SlotRange
from toiplab.releases import Release

TEMPLATE = ".j2"
# What ends a line, a record or a string in one of the formats rendered here. The lab
# file's types refuse these already; a template must never print one that came from a value.
STRUCTURAL = frozenset("\n\r\0")
# The kinds of value that a template may print; never a part of the model, nor nothing.
PRINTABLE = (str, int, IPv4Address, IPv4Network, PortRange, SlotRange)
# What dpkg and initramfs-tools read while packages are installed.
EARLY = ("/etc/dpkg/dpkg.cfg.d", "/etc/initramfs-tools", "/usr/share/initramfs-tools")


@dataclass(frozen=True)
class Inputs:
    """All that rendering depends on.

    ``password_hash`` is the administrator's crypt(5) hash; ``sources`` are the lines of
    the target's own sources.list.
    """

    lab: Lab
    secrets: Secrets
    release: Release
    password_hash: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Rendered:
    """What a builder is handed.

    ``overlay`` maps places on the target to contents; ``packages`` are the names to
    install; ``debconf`` answers their questions; ``settings`` and ``passwords`` are what
    scripts/provision.sh reads.
    """

    overlay: tuple[tuple[PurePosixPath, bytes], ...]
    packages: tuple[str, ...]
    debconf: str
    settings: str
    passwords: str

    @property
    def early(self) -> dict[PurePosixPath, bytes]:
        """The part of the overlay that must be there before the packages are installed."""
        return {
            place: content
            for place, content in self.overlay
            if any(place.is_relative_to(folder) for folder in EARLY)
        }


def render(inputs: Inputs, *, root: Path = PROJECT) -> Rendered:
    """Render everything a builder needs; ``root`` holds overlay/ and preseed/."""
    environment = _appliance(root, inputs)
    packages = _text(environment, "preseed/packages.list.j2")
    lines = (line.strip() for line in packages.splitlines())
    return Rendered(
        overlay=tuple(_overlay(environment, root)),
        packages=tuple(line for line in lines if line and not line.startswith("#")),
        debconf=_text(environment, "preseed/packages.cfg.j2"),
        settings=_settings(inputs.lab),
        passwords=_passwords(inputs),
    )


@dataclass(frozen=True)
class Installation:
    """What Debian's installer is told besides the lab.

    ``host`` and ``folder`` are its mirror's, by HTTP; ``proxy`` the address of an HTTP proxy
    as the guest reaches it, or empty; ``key`` the public ssh key (sshd(8)) that lets the
    build in as root.
    """

    host: str
    folder: str
    proxy: str
    key: str


def preseed(inputs: Inputs, installation: Installation, *, root: Path = PROJECT) -> str:
    """The preseed file: the answers to the installer's questions (row I1).

    Format: https://www.debian.org/releases/bullseye/amd64/apb, one question a line. The
    password is in it as a crypt(5) hash only.
    """
    environment = _appliance(root, inputs)
    environment.globals.update(installation=installation, password_hash=inputs.password_hash)
    return _text(environment, "preseed/preseed.cfg.j2").lstrip("\n")


def _environment(root: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(root),
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML here; `_printable` guards these formats
    )


def _appliance(root: Path, inputs: Inputs) -> jinja2.Environment:
    environment = _environment(root)
    served = {subnet.subnet for subnet in inputs.lab.networks.lab.dhcp}

    def is_served(network: IPv4Network) -> bool:
        return network in served

    def context_patterns(context: Context) -> tuple[str, ...]:
        return dial_patterns(tuple(extension.number for extension in context.extensions))

    environment.globals.update(
        lab=inputs.lab,
        secrets=inputs.secrets,
        release=inputs.release,
        sources=inputs.sources,
        sip_port=SIP_PORT,
        sip_server=inputs.lab.sip_server,
        served=is_served,
        dial_patterns=context_patterns,
    )
    return environment


def _printable(value: object) -> object:
    """Refuse to print what no template means to print: a part of the model, or a line break."""
    if not isinstance(value, PRINTABLE) or isinstance(value, bool):
        raise jinja2.TemplateRuntimeError(f"a template prints {type(value).__name__}, not a value")
    if isinstance(value, str) and STRUCTURAL & set(value):
        raise jinja2.TemplateRuntimeError("a value with a line break would change the file")
    return value


def _text(environment: jinja2.Environment, name: str) -> str:
    return environment.get_template(name).render()


def _overlay(environment: jinja2.Environment, root: Path) -> list[tuple[PurePosixPath, bytes]]:
    base = root / "overlay"
    laid = []
    for path in sorted(path for path in base.rglob("*") if path.is_file()):
        place = PurePosixPath("/") / path.relative_to(base)
        if path.suffix != TEMPLATE:
            laid.append((place, path.read_bytes()))
            continue
        content = _text(environment, path.relative_to(root).as_posix())
        if content.strip():
            laid.append((place.with_suffix(""), content.lstrip("\n").encode()))
    return laid


def _settings(lab: Lab) -> str:
    values = {
        "LOGIN": lab.administrator.login,
        "FULL_NAME": lab.administrator.full_name,
        "SSH_KEYS": "\n".join(lab.administrator.ssh_keys),
        "ROOT_LOGIN": lab.ssh.root_login,
        "ROOT_KEYS": "\n".join(lab.ssh.root_keys),
        "TIMEZONE": lab.timezone,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _passwords(inputs: Inputs) -> str:
    """Lines for ``chpasswd --encrypted`` (row H1); root has one only if it may use it."""
    accounts = [inputs.lab.administrator.login]
    if inputs.lab.ssh.root_login == "yes":
        accounts.append("root")
    return "".join(f"{account}:{inputs.password_hash}\n" for account in accounts)


def write_direct(folder: Path, *, release: Release, fs_uuid: UUID, root: Path = PROJECT) -> None:
    """Write ``direct/`` into ``folder``: what only the direct builder lays on its disk."""
    environment = _environment(root)
    environment.globals.update(release=release, fs_uuid=str(fs_uuid))
    for name in ("grub.cfg", "fstab"):
        text = _text(environment, f"preseed/direct/{name}{TEMPLATE}")
        files.write(folder / "direct" / name, text.lstrip("\n").encode(), mode=0o600)


def write(rendered: Rendered, folder: Path) -> None:
    """Write what was rendered under ``folder``, anew, readable by its owner alone.

    ``stage/`` in it is what provision.sh is given.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    for place, content in rendered.overlay:
        files.write(folder / "stage/overlay" / place.relative_to("/"), content, mode=0o600)
    for name, text in (
        ("stage/settings", rendered.settings),
        ("stage/passwords", rendered.passwords),
        ("packages.list", "".join(f"{name}\n" for name in rendered.packages)),
        ("packages.cfg", rendered.debconf),
    ):
        files.write(folder / name, text.encode(), mode=0o600)
