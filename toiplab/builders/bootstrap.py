"""The package layer: a tar of a root file system with exactly the resolved packages.

mmdebstrap(1) works here without the network: it is given apt's verified indexes and
the verified packages, so what is installed is what was resolved. It runs as root, or
as an ordinary user in a user namespace.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from toiplab import host
from toiplab.builders.apt import ARCHITECTURE
from toiplab.builders.packages import PackageSet
from toiplab.errors import ToipLabError
from toiplab.files import appearing
from toiplab.progress import Progress

# What debian-installer's debootstrap links into /usr on amd64 for Debian 10 and 11.
MERGED_USR = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
UNSAFE_IO = PurePosixPath("etc/dpkg/dpkg.cfg.d/toip-lab-build")  # no fsync: a quarter faster
ARCHIVES = PurePosixPath("var/cache/apt/archives")
LISTS = PurePosixPath("var/lib/apt/lists")
PREFERENCES = PurePosixPath("etc/apt/preferences.d/toip-lab-build")
ROOM = 256 << 20  # for the indexes that apt makes of its own, logs, the initramfs
STATUS = PurePosixPath("var/lib/dpkg/status")
SKELETON = "skeleton.tar"
ANSWERS = PurePosixPath("tmp/debconf-answers")  # mmdebstrap empties /tmp at the end
INSTALLED = re.compile(r"^(Package|Status|Version): (.*)$", re.MULTILINE)
SHOWN_DIFFERENCES = 6


def make_root(
    package_set: PackageSet,
    *,
    target: Path,
    log: Path,
    progress: Progress,
    answers: str = "",
    early_files: Mapping[PurePosixPath, bytes] | None = None,
) -> None:
    """Install a package set into an empty root and pack it as the tar ``target``.

    ``answers`` are debconf answers, as for debconf-set-selections(1), given before the
    packages are configured. ``early_files`` are laid into the root (mode 0644, paths
    from its top) before the first package. The tar has the POSIX (pax) format and
    carries extended attributes; the root has no resolv.conf and no hostname.

    Raises:
        ToipLabError: mmdebstrap failed, or installed something else than the set.
    """
    host.require("mmdebstrap", "tar")
    target, log = target.resolve(), log.resolve()
    count = len(package_set.packages)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        progress.step(f"Install {count} packages into an empty root"),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".bootstrap-") as folder,
        appearing(target) as beside,
    ):
        work = Path(folder)
        _skeleton(work / SKELETON, package_set, answers, early_files or {})
        ended = host.run(
            _command(package_set, work, beside, answered=bool(answers)),
            log=log,
            cwd=Path("/"),  # mmdebstrap's namespace must be able to enter it
            env=host.same_everywhere(package_set.epoch)
            | {
                "TMPDIR": str(host.working_folder(_unpacked_size(package_set))),
                "DEBIAN_FRONTEND": "noninteractive",
            },
            umask=0o022,
            check=False,
        )
        if ended.status != 0:
            raise _failure(ended.status, log)
        _compare((work / "status").read_text(encoding="utf-8"), package_set, log)


def _unpacked_size(package_set: PackageSet) -> int:
    """What mmdebstrap fills its folder with, in bytes: the system, and what it is made from."""
    packages = sum(package.installed_size + package.size for package in package_set.packages)
    lists = sum(path.stat().st_size for path in package_set.lists.glob("*_*"))
    return packages + lists + ROOM


def _command(package_set: PackageSet, work: Path, target: Path, *, answered: bool) -> list[str]:
    def special(verb: str, *paths: Path | PurePosixPath) -> str:
        return f"{verb} {' '.join(shlex.quote(str(path)) for path in paths)}"

    inside = PurePosixPath("/")
    answer = [f'--essential-hook=chroot "$1" debconf-set-selections /{ANSWERS}']
    unwanted = (PREFERENCES, UNSAFE_IO, "etc/resolv.conf", "etc/hostname")
    forget = " ".join(f'"$1"/{path}' for path in unwanted)
    return [
        "mmdebstrap",
        "--variant=apt",
        "--verbose",  # apt and dpkg into the log
        "--format=tar",
        f"--architectures={ARCHITECTURE}",
        # the indexes are there and were verified; what was present before is not removed
        "--skip=update,check/signed-by,essential/unlink",
        f"--include={','.join(package.name for package in package_set.packages)}",
        f"--setup-hook={special('tar-in', work / SKELETON, inside)}",
        *(answer if answered else []),
        f"--customize-hook=rm -f {forget}",
        f"--customize-hook={special('download', inside / STATUS, work / 'status')}",
        package_set.release.codename,
        str(target),
        *(source.line() for source in package_set.sources),
    ]


def _skeleton(
    path: Path,
    package_set: PackageSet,
    answers: str,
    early_files: Mapping[PurePosixPath, bytes],
) -> None:
    """Write a tar of what must be in the root before the first package.

    All of it is root's: in the user namespace of an ordinary user there may be no such id as
    that of whom the files belong to out here.
    """
    content = {PurePosixPath(path).relative_to("/"): data for path, data in early_files.items()}
    content[PREFERENCES] = package_set.preferences.encode()
    content[UNSAFE_IO] = b"force-unsafe-io\n"
    content[ANSWERS] = answers.encode()
    given = {LISTS / each.name: each for each in package_set.lists.glob("*_*") if each.is_file()}
    debs = (package_set.debs / each.file_name for each in package_set.packages)
    given |= {ARCHIVES / each.name: each for each in debs}
    with tarfile.open(path, mode="w") as tar:
        folders = {LISTS, ARCHIVES, *(PurePosixPath("usr", name) for name in MERGED_USR)}
        folders |= {parent for name in content for parent in name.parents}
        folders |= {parent for name in folders for parent in name.parents}
        for folder in sorted(folders - {PurePosixPath()}):
            with _entry(tar, folder, package_set.epoch) as entry:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                if folder == ANSWERS.parent:
                    entry.mode = 0o1777
        for link in MERGED_USR:
            with _entry(tar, PurePosixPath(link), package_set.epoch) as entry:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, f"usr/{link}", 0o777
        for name, data in sorted(content.items()):
            _add(tar, name, io.BytesIO(data), len(data), package_set.epoch)
        for name, file in sorted(given.items()):
            with file.open("rb") as source:
                _add(tar, name, source, file.stat().st_size, package_set.epoch)


def _add(
    tar: tarfile.TarFile, name: PurePosixPath, source: IO[bytes], size: int, mtime: int
) -> None:
    entry = tarfile.TarInfo(str(name))
    entry.size, entry.mode, entry.mtime = size, 0o644, mtime
    tar.addfile(entry, source)


@contextmanager
def _entry(tar: tarfile.TarFile, path: PurePosixPath, mtime: int) -> Iterator[tarfile.TarInfo]:
    entry = tarfile.TarInfo(str(path))
    entry.mtime = mtime
    yield entry
    tar.addfile(entry)


def _compare(status: str, package_set: PackageSet, log: Path) -> None:
    """Check that dpkg's status is the resolved set, every package of it fully installed."""
    installed: dict[str, str] = {}
    broken: list[str] = []
    for stanza in filter(str.strip, status.split("\n\n")):
        fields = dict(INSTALLED.findall(stanza))
        installed[fields["Package"]] = fields.get("Version", "")
        if fields.get("Status") != "install ok installed":
            broken.append(f"{fields['Package']}: {fields.get('Status')}")
    resolved = package_set.versions
    differences = broken + [
        f"{name}: {installed.get(name, 'none')} instead of {resolved.get(name, 'none')}"
        for name in sorted(installed.keys() | resolved.keys())
        if installed.get(name) != resolved.get(name)
    ]
    if differences:
        raise ToipLabError(
            f"mmdebstrap did not install what was resolved ({len(differences)} differences)\n  "
            + "\n  ".join(differences[:SHOWN_DIFFERENCES])
            + f"\n  log: {log}"
        )


def _failure(status: int, log: Path) -> ToipLabError:
    """The error for a failed mmdebstrap; its command line, very long, is in the log."""
    said = host.tail(log)
    if host.DISK_FULL in said:
        return host.disk_full("mmdebstrap", log, log.parent)
    hint = (
        "as an ordinary user this needs user namespaces: /etc/subuid and /etc/subgid with an "
        "entry for you, and newuidmap (package uidmap)"
    )
    return ToipLabError(
        f"mmdebstrap failed with status {status}\n"
        + "\n".join(f"  | {line}" for line in said.splitlines())
        + f"\n  log: {log}",
        hint=hint if os.geteuid() != 0 else "",
    )
