"""The installer's packages (udebs) that the mirror lacks, made from what it has.

Kernel modules are taken from the kernel's .deb by kernel-wedge's own lists, programs from
their .deb. The index that lists them is the real one, with their sizes and checksums in it,
signed with a key made here, which the installer's image trusts: everything stays verified.

Two packages are made anew although they are there: they belong to Debian 13, and the system
that is installed is Debian 11. Its adduser has no --comment, and its GRUB does not know two
features that mke2fs of 13 turns on.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.archive.keys import Key, Keys, throw_away_keys
from tests.installer.archive import NETBOOT, SUITE, Mirror, Stanza, read_stanzas, write_stanzas

UDEBS = "main/debian-installer/binary-amd64"
DEBS = "main/binary-amd64"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
UNKNOWN_TO_BULLSEYE = (",metadata_csum_seed", ",orphan_file")
NOT_CONTROL = {"Filename", "Size", "MD5sum", "SHA256", "Description-md5"}

# A udeb of programs: the packages that have them, and which files to take.
PROGRAMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "e2fsprogs-udeb": (
        ("e2fsprogs", "libext2fs2t64", "libcom-err2", "libss2"),
        ("usr/sbin/*", "etc/mke2fs.conf", f"{LIBRARIES}/lib*.so.*"),
    ),
    "libmount1-udeb": (("libmount1",), (f"{LIBRARIES}/lib*.so.*",)),
    "ntfs-3g-udeb": (
        ("ntfs-3g", "libntfs-3g89t64"),
        ("usr/bin/ntfs-3g", "usr/sbin/mk*", f"{LIBRARIES}/libntfs-3g.so.*"),
    ),
    "xfsprogs-udeb": (("xfsprogs",), ("usr/sbin/mkfs.xfs", "usr/sbin/xfs_repair")),
    "eject-udeb": (("eject",), ("usr/bin/eject",)),
}


@dataclass(frozen=True)
class Kernel:
    """The installer's kernel: its release as in uname -r, its package version, its modules."""

    release: str
    version: str
    modules: Path
    lists: Path
    wedge: Path

    @property
    def suffix(self) -> str:
        """How the names of its module udebs end."""
        return f"-{self.release}-di"


@dataclass(frozen=True)
class Installer:
    """What the tests' installation medium is made of; ``www`` stands before the mirror."""

    netboot: Path
    www: Path
    keyring: bytes


def make_installer(mirror: Mirror, www: Path) -> Installer:
    """Make the overlay of the mirror in ``www``, and find the installer that goes with it."""
    udebs = {each["Package"]: each for each in mirror.index(UDEBS)}
    debs = {each["Package"]: each for each in mirror.index(DEBS)}
    kernel = _kernel(mirror, udebs, debs)
    netboot = mirror.netboot(debs[NETBOOT], kernel.version)
    booted = _booted(netboot, mirror.cache / "initrd")
    modules = ModuleLists(kernel, udebs)
    builder = _Builder(mirror.cache / "trees", www)
    for name in sorted(mirror.lacking(udebs.values()) - _names(booted)):
        if name.endswith(kernel.suffix):
            tree = builder.tree(name)
            for module in modules.of(name.removesuffix(kernel.suffix)):
                target = tree / f"usr/lib/modules/{kernel.release}" / module
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(kernel.modules / module, target)
            builder.build(udebs[name], postinst=f"#!/bin/sh -e\ndepmod {kernel.release}\n")
        elif name in PROGRAMS:
            _take_programs(mirror, debs, name, builder.tree(name))
            builder.build(udebs[name])
    _suit_bullseye(mirror, udebs["user-setup-udeb"], builder)
    home = mirror.cache / "gnupg"
    shutil.rmtree(home, ignore_errors=True)
    with throw_away_keys(home) as keys:
        key = keys.make("installer of the tests")
        _publish(mirror, www, list(udebs.values()), keys, key)
        trusted = booted / "usr/share/keyrings/debian-archive-keyring.pgp"
        made = keys.keyring(mirror.cache / "key.pgp", key).read_bytes()
        return Installer(netboot, www, trusted.read_bytes() + made)


def _kernel(mirror: Mirror, udebs: dict[str, Stanza], debs: dict[str, Stanza]) -> Kernel:
    """The newest kernel that the installer's index has modules for."""
    found = [
        (stanza["Version"], name)
        for name, stanza in udebs.items()
        if re.fullmatch(r"kernel-image-.*-amd64-di", name) and "-rt-" not in name
    ]
    version, name = max(found, key=lambda each: [int(n) for n in re.findall(r"\d+", each[0])])
    release = name.removeprefix("kernel-image-").removesuffix("-di")
    sources = mirror.fetch(f"pool/main/l/linux/linux_{version}.debian.tar.xz")
    lists = mirror.cache / "unpacked" / sources.name
    if not lists.exists():
        lists.mkdir(parents=True)
        subprocess.run(["tar", "-C", lists, "-xf", sources], check=True)
    image = mirror.unpacked(debs[f"linux-image-{release}"]["Filename"])
    return Kernel(
        release=release,
        version=version,
        modules=image / "usr/lib/modules" / release,
        lists=lists / "debian/installer",
        wedge=mirror.unpacked(debs["kernel-wedge"]["Filename"]) / "usr/share",
    )


def _boots(netboot: Path) -> Path:
    """The folder of the text installer in the netboot package."""
    return next(netboot.glob("usr/lib/debian-installer/images/*/amd64/text/debian-installer/amd64"))


def _booted(netboot: Path, folder: Path) -> Path:
    """The files of the installer's initrd."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    initrd = gzip.decompress((_boots(netboot) / "initrd.gz").read_bytes())
    unpack = ["busybox", "cpio", "-id"]
    subprocess.run(unpack, cwd=folder, input=initrd, capture_output=True, check=False)  # no mknod
    return folder


def _names(booted: Path) -> set[str]:
    """The packages that are in the initrd already."""
    status = (booted / "var/lib/dpkg/status").read_text(encoding="utf-8")
    return {each["Package"] for each in read_stanzas(status)}


class ModuleLists:
    """Which modules belong to a udeb: kernel-wedge's lists, and what those modules need."""

    def __init__(self, kernel: Kernel, udebs: dict[str, Stanza]) -> None:
        self._kernel = kernel
        self._udebs = udebs
        self._known: dict[str, set[str]] = {}
        files = [
            str(path.relative_to(kernel.modules))
            for path in sorted((kernel.modules / "kernel").rglob("*.ko*"))
        ]
        self._by_name = {_module(file): file for file in files}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._needs = dict(zip(files, pool.map(self._needed_by, files), strict=True))

    def of(self, name: str) -> set[str]:
        """The modules of one udeb, without those of the udebs that it depends on."""
        if name not in self._known:
            others = set().union(*(self.of(each) for each in self._depends(name)))
            listed = subprocess.run(
                ["perl", self._kernel.wedge / "kernel-wedge/commands/preprocess",
                 self._kernel.lists / "modules/amd64" / name, self._kernel.modules],
                env={
                    **os.environ,
                    "KW_DEFCONFIG_DIR": str(self._kernel.lists),
                    "KW_CHECK_NONFATAL": "1",
                    "PERL5LIB": str(self._kernel.wedge / "perl5"),
                },
                capture_output=True, check=True, text=True,
            ).stdout  # fmt: skip
            todo, found = listed.split(), set[str]()
            while todo:
                module = todo.pop()
                if module not in found:
                    found.add(module)
                    todo += [each for each in self._needs.get(module, ()) if each not in others]
            self._known[name] = found
        return self._known[name]

    def _depends(self, name: str) -> Iterator[str]:
        fields = self._udebs[name + self._kernel.suffix].get("Depends", "")
        for word in re.split(r"[\s,|]+", fields):
            if word.endswith(self._kernel.suffix):
                yield word.removesuffix(self._kernel.suffix)

    def _needed_by(self, file: str) -> list[str]:
        """What a module says it depends on, in its .modinfo section."""
        data = (self._kernel.modules / file).read_bytes()
        if file.endswith(".xz"):
            data = lzma.decompress(data)
        names = re.search(rb"\0depends=([^\0]*)\0", data)
        wanted = names[1].decode().split(",") if names else []
        return [self._by_name[n] for n in map(_module, wanted) if n in self._by_name]


def _module(file: str) -> str:
    return re.sub(r"\.ko(\.xz)?$", "", Path(file).name).replace("-", "_")


def _take_programs(mirror: Mirror, debs: dict[str, Stanza], name: str, tree: Path) -> None:
    packages, patterns = PROGRAMS[name]
    for package in packages:
        unpacked = mirror.unpacked(debs[package]["Filename"])
        for pattern in patterns:
            for file in unpacked.glob(pattern):
                target = tree / file.relative_to(unpacked)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target, follow_symlinks=False)
    settings = tree / "etc/mke2fs.conf"
    if settings.exists():
        text = settings.read_text(encoding="utf-8")
        for feature in UNKNOWN_TO_BULLSEYE:
            text = text.replace(feature, "")
        settings.write_text(text, encoding="utf-8")


def _suit_bullseye(mirror: Mirror, stanza: Stanza, builder: _Builder) -> None:
    tree = builder.tree(stanza["Package"])
    subprocess.run(["dpkg-deb", "-R", mirror.fetch(stanza["Filename"]), tree], check=True)
    script = tree / "usr/bin/user-setup-apply"
    text = script.read_text(encoding="utf-8")
    assert "adduser --disabled-password --comment" in text
    script.write_text(text.replace("--comment", "--gecos"), encoding="utf-8")
    builder.build(stanza)


@dataclass(frozen=True)
class _Builder:
    """Builds udebs out of trees; their stanzas get the new size and checksums."""

    trees: Path
    www: Path

    def tree(self, name: str) -> Path:
        """An empty folder for the files of a udeb."""
        folder = self.trees / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def build(self, stanza: Stanza, *, postinst: str = "") -> None:
        """Build the udeb of a tree where the archive has it."""
        tree = self.trees / stanza["Package"]
        control = tree / "DEBIAN"
        control.mkdir(exist_ok=True)
        kept = {name: text for name, text in stanza.items() if name not in NOT_CONTROL}
        (control / "control").write_text(write_stanzas([kept]), encoding="utf-8")
        if postinst:
            (control / "postinst").write_text(postinst, encoding="ascii")
            (control / "postinst").chmod(0o755)
        target = self.www / "debian" / stanza["Filename"]
        target.parent.mkdir(parents=True, exist_ok=True)
        # modules are compressed already: gzip is quickly unpacked, also in software
        pack = ["dpkg-deb", "--root-owner-group", "--nocheck", "-Zgzip", "-z6", "--build"]
        subprocess.run([*pack, tree, target], capture_output=True, check=True)
        data = target.read_bytes()
        stanza |= {
            "Size": str(len(data)),
            "MD5sum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "SHA256": hashlib.sha256(data).hexdigest(),
        }


def _publish(mirror: Mirror, www: Path, udebs: list[Stanza], keys: Keys, key: Key) -> None:
    """Write the index of the udebs, and the suite's Release with its checksums, signed."""
    suite = www / "debian/dists" / SUITE
    index = write_stanzas(udebs).encode()
    packed = lzma.compress(index)
    path = f"{UDEBS}/Packages"
    contents = {path: index, f"{path}.xz": packed}
    (suite / UDEBS).mkdir(parents=True, exist_ok=True)
    (suite / f"{path}.xz").write_bytes(packed)
    lines, digest = [], ""
    for line in mirror.fetch(f"dists/{SUITE}/Release").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            digest = line.partition(":")[0].replace("Sum", "")
        name = line.split()[-1] if line.startswith(" ") else ""
        if name == f"{path}.gz":
            continue
        if name in contents:
            data = contents[name]
            lines.append(f" {hashlib.new(digest, data).hexdigest()} {len(data)} {name}\n")
        else:
            lines.append(f"{line}\n")
    text = "".join(lines).encode()
    (suite / "Release").write_bytes(text)
    (suite / "Release.gpg").write_bytes(keys.detached(text, key))
    (suite / "InRelease").write_bytes(keys.clearsign(text, key))
