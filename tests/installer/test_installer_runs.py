"""Debian's installer runs to its end, and what it made passes the exam.

Here each build takes an hour and more, in software: pytest -m installer, or one of the builds by
-k "virtualbox and critical". At high, the default, nothing that the preseed leaves open would be
passed over; critical is what builds ask for.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from tests.installer.conftest import KEPT, request_for
from tests.test_compare import EXPLAINED, is_explained
from tests.virtualbox.chroot import VirtualBox
from tests.virtualbox.shown import imported, wanted
from toiplab import manifest
from toiplab.builders import ensure_ova
from toiplab.builders.packer import workspace
from toiplab.builders.packer.build import BuildOptions, build_qemu, build_virtualbox
from toiplab.builders.packer.workspace import installation
from toiplab.builders.sources import Source
from toiplab.compare import compare
from toiplab.errors import ToipLabError
from toiplab.exam import record
from toiplab.exam.results import Results
from toiplab.exam.smoke import Options, smoke
from toiplab.host import PROJECT
from toiplab.image.ova import open_ova
from toiplab.lab.load import load
from toiplab.progress import Progress
from toiplab.render import Installation

pytestmark = pytest.mark.installer

# direct's limit is 220 MB; what the installer used and freed does not compress away entirely
LIMIT_BYTES = 250_000_000


@pytest.fixture(scope="module", params=["high", "critical"])
def qemu_ova(request: pytest.FixtureRequest, medium: Path, mirror_with_udebs: str) -> Path:
    """Built by QEMU, at each of the installer's priorities."""
    wanted = request_for(f"qemu-{request.param}", medium)
    return build_qemu(wanted, Progress(), options=BuildOptions(priority=request.param))


@pytest.fixture(scope="module", params=["high", "critical"])
def virtualbox_ova(
    request: pytest.FixtureRequest,
    medium: Path,
    mirror_with_udebs: str,
    virtualbox_that_starts: VirtualBox,
) -> Path:
    """Built in a VirtualBox whose processor is QEMU, at each of the installer's priorities."""
    wanted = request_for(f"virtualbox-{request.param}", medium)
    options = BuildOptions(priority=request.param, slow=True)
    return build_virtualbox(wanted, Progress(), options=options)


def passes_the_exam(ova: Path) -> bool:
    """The whole exam, of which nothing is skipped: the same rows as direct's."""
    lab = ova.parent.parent / "labs" / "isi.yml"
    results = Results(ova.parent / "exam")
    status = smoke(ova, results, options=Options(lab_file=lab), progress=Progress())
    kept = record.read(results.record)
    return status == 0 and kept is not None and kept.whole and kept.skipped == 0


def asked(ova: Path) -> list[str]:
    """The questions in the installer's own log."""
    log = (ova.parent.parent / "build/isi/installer.log").read_text(encoding="utf-8")
    return re.findall(r"question will be asked", log)


def test_qemu_asks_nothing_and_passes_the_exam(qemu_ova: Path) -> None:
    made = manifest.read(qemu_ova)
    assert made.builder == "qemu"
    assert {"packer", "qemu-system-x86_64"} <= made.tools.keys()
    assert made.iso is not None
    assert qemu_ova.stat().st_size <= LIMIT_BYTES
    assert asked(qemu_ova) == []
    assert passes_the_exam(qemu_ova)


def test_qemu_differs_from_direct_only_as_the_docs_explain(qemu_ova: Path) -> None:
    lab = qemu_ova.parent.parent / "labs" / "isi.yml"
    direct = ensure_ova(PROJECT / "labs/isi.yml", release="bullseye")

    found = compare(direct, qemu_ova, logs=KEPT / "compare", progress=Progress())

    assert manifest.read(direct).builder == "direct"
    assert lab.read_bytes() == (PROJECT / "labs/isi.yml").read_bytes()
    assert [each for each in found if not is_explained(each, EXPLAINED)] == []


def test_virtualbox_takes_what_qemu_made(
    qemu_ova: Path, virtualbox_that_starts: VirtualBox
) -> None:
    hardware = load(PROJECT / "labs/isi.yml").hardware
    try:
        machine = imported(virtualbox_that_starts, qemu_ova)
    finally:  # the builder wants the name for its own
        virtualbox_that_starts.run("unregistervm", hardware.name, "--delete")

    assert machine == wanted(hardware, open_ova(qemu_ova).disk.name)


def test_an_answer_that_the_installer_rejects_is_named(
    medium: Path, mirror_with_udebs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that the mirror does not have: the installer asks for another, and waits."""
    request = request_for("rejected", medium)

    def wrong(sources: tuple[Source, ...], *, key: str) -> Installation:
        return dataclasses.replace(installation(sources, key=key), folder="/nowhere")

    monkeypatch.setattr(workspace, "installation", wrong)
    with pytest.raises(ToipLabError) as error:
        build_qemu(request, Progress(), options=BuildOptions(accelerator="tcg"))

    assert re.match(r"Debian's installer asks mirror/\S+: the installer cannot use its mirror\n",
                    error.value.message)  # fmt: skip
    assert not list(request.project.build.glob(".scratch-*"))
    assert not request.project.dist.exists()


def test_a_mirror_that_is_lost_midway_is_named(medium: Path, mirror_that_is_lost: str) -> None:
    request = request_for("lost", medium)

    with pytest.raises(ToipLabError) as error:
        build_qemu(request, Progress(), options=BuildOptions(accelerator="tcg"))

    assert re.match(r"Debian's installer asks \S+: the installer cannot install the base system\n",
                    error.value.message)  # fmt: skip
    assert "--mirror" in error.value.hint
    assert not list(request.project.build.glob(".scratch-*"))
    assert not request.project.dist.exists()


def test_virtualbox_asks_nothing_and_passes_the_exam(virtualbox_ova: Path) -> None:
    made = manifest.read(virtualbox_ova)
    assert made.builder == "virtualbox"
    assert {"packer", "VBoxManage"} <= made.tools.keys()
    assert made.iso is not None
    assert virtualbox_ova.stat().st_size <= LIMIT_BYTES
    assert asked(virtualbox_ova) == []
    assert passes_the_exam(virtualbox_ova)
