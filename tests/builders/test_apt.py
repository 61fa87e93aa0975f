"""What apt says, turned into one message; and obstacles that are not the mirror's."""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.conftest import Screen
from toiplab import host
from toiplab.builders.apt import complaint
from toiplab.builders.packages import resolve
from toiplab.builders.sources import Chosen, sources_of
from toiplab.errors import ToipLabError
from toiplab.releases import Release

RESOLVE = """\
import pickle, sys
from pathlib import Path
from toiplab.builders.packages import resolve
from toiplab.errors import ToipLabError
from toiplab.progress import Progress
folder = Path(sys.argv[2])
try:
    resolve(pickle.loads(Path(sys.argv[1]).read_bytes()), ["pbx"], cache=folder / "cache",
            log=folder / "log", progress=Progress(), priorities=())
except ToipLabError as error:
    print(error)
"""
SMALL = 'mount -t tmpfs -o size=48k none "$1" && exec "$2" -c "$3" "$4" "$1"'


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param(
            "Err:1 http://m/debian buster InRelease\n"
            "  Temporary failure resolving 'm'\n"
            "E: Failed to fetch http://m/debian/dists/buster/InRelease  Temporary failure "
            "resolving 'm'\nE: Some index files failed to download.\n",
            "reading m: its name cannot be resolved\n"
            "  | E: Failed to fetch http://m/debian/dists/buster/InRelease  Temporary failure "
            "resolving 'm'\n  | E: Some index files failed to download.",
            id="name",
        ),
        pytest.param(
            "E: Failed to fetch http://m/x.deb  Could not connect to m:80 (192.0.2.1). - connect "
            "(111: Connection refused)\n",
            "reading m: it does not answer\n  | E: Failed to fetch http://m/x.deb  Could not "
            "connect to m:80 (192.0.2.1). - connect (111: Connection refused)",
            id="refused",
        ),
        pytest.param(
            "Error: Failed to fetch http://m/x.deb  Hash Sum mismatch\n"
            "   Hashes of expected file:\n    - SHA256:00\n",
            "reading m: what it sent is not what its index promises\n"
            "  | Error: Failed to fetch http://m/x.deb  Hash Sum mismatch\n"
            "  |    Hashes of expected file:\n  |     - SHA256:00",
            id="hash",
        ),
        pytest.param(
            "E: You don't have enough free space in /c/debs/.\n",
            "reading m: the disk is full\n  | E: You don't have enough free space in /c/debs/.",
            id="space",
        ),
        pytest.param("E: Oddity\n", "reading m: apt failed\n  | E: Oddity", id="unknown"),
    ],
)
def test_what_apt_said(said: str, message: str) -> None:
    assert complaint(said, "reading m").message == message


def test_two_builds_at_once(buster: Release, tmp_path: Path, screen: Screen) -> None:
    lock = tmp_path / "cache/apt/buster/var/lib/apt/lists/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        with pytest.raises(ToipLabError, match="another build is using the same cache"):
            resolve(
                chosen(buster),
                ["pbx"],
                cache=tmp_path / "cache",
                log=tmp_path / "apt.log",
                progress=screen.progress,
            )


def test_a_full_disk(buster: Release, tmp_path: Path) -> None:
    small, stored = tmp_path / "small", tmp_path / "chosen"
    small.mkdir()
    stored.write_bytes(pickle.dumps(chosen(buster)))
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL, "sh"]
    done = subprocess.run(
        [*namespace, small, sys.executable, RESOLVE, stored],
        cwd=host.PROJECT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(host.PROJECT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespaces for a small disk: {done.stderr.strip()}")
    assert "the disk is full" in done.stdout, done.stderr
    assert "No space left on device" in done.stdout or "free space" in done.stdout


def chosen(release: Release) -> Chosen:
    assert release.archive is not None
    return Chosen(release, sources_of(release, release.archive))
