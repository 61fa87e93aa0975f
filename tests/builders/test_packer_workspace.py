"""What Packer is given for a build, and whether what it made is what was planned."""

from __future__ import annotations

import json
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_render import HASH, ISI, inputs
from toiplab import host
from toiplab.builders.indexes import Package
from toiplab.builders.packages import PackageSet
from toiplab.builders.packer.job import compare
from toiplab.builders.packer.workspace import Workspace
from toiplab.builders.plan import Plan
from toiplab.builders.sources import Chosen, Source
from toiplab.errors import ToipLabError
from toiplab.lab.load import load
from toiplab.releases import BUSTER
from toiplab.render import render

pytestmark = pytest.mark.skipif(
    not host.which("ssh-keygen"), reason="ssh-keygen is not on this machine"
)

SOURCES = (Source("http://127.0.0.1:3142/debian", "buster"),)


def package(name: str, version: str = "1") -> Package:
    return Package(name, version, "amd64", name, version, "buster", "0" * 64, 1, f"pool/{name}.deb")


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    """A plan of two packages, from a mirror on this machine."""
    given = inputs(load(ISI), BUSTER)
    return Plan(
        chosen=Chosen(BUSTER, SOURCES),
        inputs=given,
        rendered=render(given),
        package_set=PackageSet(
            release=BUSTER,
            sources=SOURCES,
            packages=(package("asterisk", "1:16.28.0"), package("vim")),
            substitutions=(),
            indexes=(),
            epoch=0,
            preferences="Package: asterisk\nPin: version 1:17\nPin-Priority: -1\n",
            debs=tmp_path,
            lists=tmp_path,
        ),
    )


@pytest.fixture
def work(tmp_path: Path, planned: Plan) -> Workspace:
    made = Workspace(tmp_path / "work")
    made.folder.mkdir()
    made.prepare(planned)
    return made


def stage(work: Workspace) -> dict[str, str]:
    with tarfile.open(work.stage) as tar:
        files = [entry for entry in tar if entry.isfile()]
        return {
            entry.name: content.read().decode(errors="replace")
            for entry in files
            if (content := tar.extractfile(entry)) is not None
        }


def test_the_stage_is_what_the_script_on_the_machine_wants(work: Workspace) -> None:
    found = stage(work)

    assert found["packages"] == "asterisk=1:16.28.0\nvim=1\n"
    assert found["sources.list"] == "deb http://10.0.2.2:3142/debian buster main\n"
    assert found["preferences"].startswith("Package: asterisk\n")
    assert "popularity-contest/participate boolean false" in found["packages.cfg"]
    assert found["stage/provision.sh"].startswith("#!/bin/bash")
    assert "stage/settings" in found
    assert "stage/overlay/etc/asterisk/sip.conf" in found
    # the appliance's own sources are its archive, whatever it was built from
    assert "archive.debian.org" in found["stage/overlay/etc/apt/sources.list"]
    assert {name for name in found if name.startswith("early/")} == {
        "early/etc/dpkg/dpkg.cfg.d/toip-lab",
        "early/etc/initramfs-tools/conf.d/toip-lab",
        "early/usr/share/initramfs-tools/modules.d/toip-lab.conf",
    }


def test_what_holds_a_secret_is_its_owners_alone(work: Workspace) -> None:
    for file in (work.stage, work.key, work.http / "preseed.cfg"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert HASH in (work.http / "preseed.cfg").read_text(encoding="utf-8")
    assert "the-password" not in (work.http / "preseed.cfg").read_text(encoding="utf-8")


def test_the_installer_is_told_of_the_key_and_the_mirror(work: Workspace) -> None:
    preseed = (work.http / "preseed.cfg").read_text(encoding="utf-8")
    key = work.key.with_suffix(".pub").read_text(encoding="ascii").strip()

    assert f"echo '{key}' >/target/root/.ssh/authorized_keys" in preseed
    assert "\nd-i mirror/http/hostname string 10.0.2.2:3142\n" in preseed


def test_the_variables_name_the_workspace(work: Workspace) -> None:
    work.set_variables({"memory": 512})
    values = json.loads(work.variables.read_text(encoding="utf-8"))

    assert values["memory"] == 512
    assert Path(values["stage"]) == work.stage
    assert not Path(values["output"]).exists()  # Packer makes it


def test_a_mirror_that_the_installer_cannot_use(planned: Plan, tmp_path: Path) -> None:
    by_https = replace(planned.chosen, sources=(Source("https://m.example.org/debian", "buster"),))

    with pytest.raises(ToipLabError, match="fetches by http only"):
        Workspace(tmp_path).prepare(replace(planned, chosen=by_https))


def test_the_machine_has_the_packages_of_the_plan(planned: Plan, tmp_path: Path) -> None:
    told = tmp_path / "installed"
    told.write_text("asterisk=1:16.28.0\nvim=1\n")

    compare(told, planned.package_set)


def test_the_machine_has_other_packages(planned: Plan, tmp_path: Path) -> None:
    told = tmp_path / "installed"
    told.write_text("asterisk=1:16.2\ndiscover=2\n")

    with pytest.raises(ToipLabError) as error:
        compare(told, planned.package_set)

    assert error.value.message == (
        "the machine has other packages than planned (3)\n"
        "  asterisk: 1:16.2 instead of 1:16.28.0\n"
        "  discover: 2 instead of none\n"
        "  vim: none instead of 1"
    )
