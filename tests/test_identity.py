"""Row H2: each copy of the machine makes keys of its own, and never keeps half of one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from toiplab.host import PROJECT

UNIT = PROJECT / "overlay/etc/systemd/system/toip-lab-identity.service"
KINDS = ("ecdsa", "ed25519")


def boot(etc_ssh: Path) -> dict[str, bytes]:
    """What the unit does at a boot, here, to another folder; the keys by their kind."""
    command = re.search(r"^ExecStart=/bin/sh -euc '(.*?)'$", UNIT.read_text(), re.M | re.S)
    assert command
    script = command[1].replace("\\\n", "").replace("$$", "$").replace("/etc/ssh", str(etc_ssh))
    subprocess.run(["/bin/sh", "-euc", script], check=True, stdin=subprocess.DEVNULL)
    keys = {kind: etc_ssh / f"ssh_host_{kind}_key" for kind in KINDS}
    for key in keys.values():
        said = subprocess.run(
            ["ssh-keygen", "-y", "-P", "", "-f", key], check=True, capture_output=True
        )
        assert said.stdout.split()[:2] == key.with_suffix(".pub").read_bytes().split()[:2]
    return {kind: key.read_bytes() for kind, key in keys.items()}


def test_the_keys_of_a_machine_stay(tmp_path: Path) -> None:
    assert boot(tmp_path) == boot(tmp_path)


def test_two_machines_have_other_keys(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()

    one, other = boot(tmp_path / "a"), boot(tmp_path / "b")

    assert all(one[kind] != other[kind] for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", ["", ".pub"])
@pytest.mark.parametrize("left", [None, b""], ids=["no file", "an empty one"])
def test_a_power_cut_during_the_first_boot_costs_no_key(
    tmp_path: Path, kind: str, lost: str, left: bytes | None
) -> None:
    before = boot(tmp_path)
    key = tmp_path / f"ssh_host_{kind}_key{lost}"
    key.unlink()
    if left is not None:
        key.write_bytes(left)

    after = boot(tmp_path)

    assert after[kind] != before[kind]
    assert [each for each in KINDS if after[each] == before[each]] == [
        each for each in KINDS if each != kind
    ]
