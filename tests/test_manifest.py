"""The build manifest: written beside the OVA, read back, refused when it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from toiplab import manifest
from toiplab.errors import ToipLabError
from toiplab.manifest import LabRecord, Manifest, PackageRecord, SourceRecord

MADE = Manifest(
    toip_lab="0.1.0",
    builder="direct",
    tools={"mmdebstrap": "1.3.5"},
    lab=LabRecord(name="isi", file="labs/isi.yml", sha256="ab" * 32),
    inputs_sha256="cd" * 32,
    release="buster",
    debian="10.13",
    epoch=1662805020,
    sources=(SourceRecord(uri="http://archive.debian.org/debian", suite="buster"),),
    indexes=(),
    substitutions=(),
    packages=(
        PackageRecord(
            name="asterisk",
            version="1:16.28.0~dfsg-0+deb10u4",
            architecture="amd64",
            source="asterisk",
            suite="buster/updates",
            sha256="ef" * 32,
            candidate="1:16.28.0~dfsg-0+deb10u4",
        ),
    ),
    disk_uuid="12345678-1234-5678-1234-567812345678",
    ova="toip-lab-isi-debian10.13.ova",
    ova_sha256="01" * 32,
    ova_bytes=300_000_000,
    stages=(),
)


def test_it_is_read_as_it_was_written_beside_its_ova(tmp_path: Path) -> None:
    ova = tmp_path / "toip-lab-isi-debian10.13.ova"
    manifest.write(MADE, ova)

    assert (tmp_path / "toip-lab-isi-debian10.13.manifest.json").exists()
    assert manifest.read(ova) == MADE


def test_an_absent_one_says_that_the_two_belong_together(tmp_path: Path) -> None:
    with pytest.raises(ToipLabError) as error:
        manifest.read(tmp_path / "my.ova")

    assert str(error.value) == (
        f"{tmp_path}/my.manifest.json: No such file or directory\n"
        "  the build writes it beside the OVA; keep the two together"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "the file: Invalid JSON: EOF while parsing an object at line 1 column 1"),
        (b"[]", "the file: Input should be an object"),
        (MADE.model_dump_json(exclude={"lab": {"sha256"}}).encode(), "lab.sha256: Field required"),
        (
            MADE.model_dump_json().replace('"epoch":1662805020', '"epoch":"now"').encode(),
            "epoch: Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            MADE.model_dump_json().replace('"builder"', '"other":1,"builder"').encode(),
            "other: Extra inputs are not permitted",
        ),
    ],
)
def test_a_damaged_one_is_named_with_the_place_and_the_mend(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = manifest.path_for(tmp_path / "my.ova")
    path.write_bytes(content)

    with pytest.raises(ToipLabError) as error:
        manifest.read(tmp_path / "my.ova")

    assert str(error.value) == f"{path}: {message}\n  build again: invoke build-ova"
