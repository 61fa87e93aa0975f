"""What the doctor says of mirrors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.test_manifest import MADE
from toiplab import manifest
from toiplab.builders import advice
from toiplab.manifest import SubstitutionRecord
from toiplab.releases import BUSTER, Archive


def test_an_archive_out_of_reach_is_named_with_the_reason():
    closed = Archive("http://127.0.0.1:1/debian", "http://127.0.0.1:1/debian-security")
    (finding,) = advice.of_releases((replace(BUSTER, archive=closed),))
    assert finding.subject == "Debian 10.13 (buster)"
    assert not finding.good
    assert finding.detail.startswith("http://127.0.0.1:1/debian/dists/buster/InRelease: ")
    assert "--mirror" in finding.mend


def test_what_the_last_build_took_instead_is_told(tmp_path: Path):
    ova = tmp_path / "toip-lab-isi-debian10.13.ova"
    ova.touch()
    taken = SubstitutionRecord(
        source="pbx",
        missing_version="1:16-sec",
        missing_files=("pbx-mp3_1:16-sec_amd64.deb",),
        taken_version="1:16-main",
        binaries=("pbx", "pbx-mp3"),
    )
    manifest.write(MADE.model_copy(update={"substitutions": (taken,)}), ova)

    (finding,) = advice.of_last_build(tmp_path)
    assert (finding.subject, finding.good) == ("pbx", False)
    assert finding.detail == (
        "toip-lab-isi-debian10.13.ova has pbx, pbx-mp3 at 1:16-main: "
        "of 1:16-sec the mirror lacked pbx-mp3"
    )


def test_without_a_build_there_is_nothing_to_tell(tmp_path: Path):
    assert list(advice.of_last_build(tmp_path)) == []
