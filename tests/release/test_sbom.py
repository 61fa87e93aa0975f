"""The bill of materials: valid by CycloneDX's own schema, and complete."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.release.conftest import Ready
from toiplab import manifest
from toiplab.errors import ToipLabError
from toiplab.release import sbom


@pytest.fixture
def written(ready: Ready, tmp_path: Path) -> str:
    sbom.write(ready.check(), tmp_path / "bill.json")
    return (tmp_path / "bill.json").read_text()


def test_it_is_valid(written: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None


def test_every_debian_package_is_there_with_its_version_and_purl(
    written: str, ready: Ready
) -> None:
    found = {
        (each["name"], each["version"], each["purl"])
        for each in json.loads(written)["components"]
        if each["purl"].startswith("pkg:deb/")
    }

    assert found == {
        (
            "asterisk",
            "1:16.28.0~dfsg-0+deb10u4",
            "pkg:deb/debian/asterisk@1:16.28.0~dfsg-0%2Bdeb10u4?arch=amd64&distro=debian-11.11",
        )
    }
    assert len(found) == len(manifest.read(ready.ova).packages)


def test_the_python_packages_of_the_build_are_there_and_not_in_the_image(written: str) -> None:
    found = {
        each["name"]: each
        for each in json.loads(written)["components"]
        if each["purl"].startswith("pkg:pypi/")
    }

    for name in ("invoke", "jinja2", "pydantic", "deflate"):
        assert found[name]["version"] == importlib.metadata.version(name)
    assert {each["scope"] for each in found.values()} == {"excluded"}


def test_another_version_than_the_lock_file_s_is_refused(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sbom, "LOCK", tmp_path / "requirements.lock")
    sbom.LOCK.write_text("not-installed==1\ninvoke==0.1\n")

    with pytest.raises(ToipLabError, match=r"requirements\.lock says 0\.1"):
        sbom.write(ready.check(), tmp_path / "bill.json")

    assert not (tmp_path / "bill.json").exists()


def test_it_names_the_file_by_its_hash(written: str, ready: Ready) -> None:
    component = json.loads(written)["metadata"]["component"]

    assert component["name"] == "toip.ova"
    assert component["hashes"] == [
        {"alg": "SHA-256", "content": manifest.read(ready.ova).ova_sha256}
    ]
