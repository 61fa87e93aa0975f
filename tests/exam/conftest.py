from __future__ import annotations

import dataclasses
import subprocess

import pytest

from tests.exam.recording import RecordedGuest, read
from toiplab import releases
from toiplab.exam import asterisk, packages, readings
from toiplab.exam.subject import Subject
from toiplab.host import PROJECT, Finished
from toiplab.lab.load import load
from toiplab.lab.secrets import Secrets
from toiplab.manifest import LabRecord, Manifest, PackageRecord, SubstitutionRecord
from toiplab.render import Inputs, render

NEWER = "1:16.28.0~dfsg-0+deb11u10"  # Asterisk's candidate, which the mirror lacked


@pytest.fixture(scope="session")
def recorded(lab, phone_secrets, tmp_path_factory):
    """The recorded answers, but of an appliance that was built with ``phone_secrets``."""
    etc = tmp_path_factory.mktemp("asterisk")
    inputs = Inputs(lab, phone_secrets, releases.BULLSEYE, "", ())
    for place, content in render(inputs).overlay:
        if place.parent == packages.ASTERISK:
            (etc / place.name).write_bytes(content)
    command = asterisk.SECRETS_DIGEST.replace(str(packages.ASTERISK), str(etc))
    digest = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    return {**read(), asterisk.SECRETS_DIGEST: Finished(0, digest.stdout)}


@pytest.fixture
def guest(recorded):
    return RecordedGuest(recorded)


@pytest.fixture(scope="session")
def lab():
    return load(PROJECT / "labs/isi.yml")


@pytest.fixture(scope="session")
def built(recorded):
    """A manifest of the recorded appliance: each package is its candidate, but Asterisk's."""
    installed = readings.packages(recorded[readings.PACKAGES_COMMAND].output)
    asterisk = next(package for package in installed if package.name == "asterisk")
    binaries = tuple(p.name for p in installed if p.version == asterisk.version)
    substitution = SubstitutionRecord(
        source="asterisk",
        missing_version=NEWER,
        missing_files=(),
        taken_version=asterisk.version,
        binaries=binaries,
    )
    package_records = tuple(
        PackageRecord(
            name=package.name,
            version=package.version,
            architecture="amd64",
            source=package.name,
            suite="bullseye",
            sha256="",
            candidate=NEWER if package.name in binaries else package.version,
        )
        for package in installed
    )
    return Manifest.model_construct(
        lab=LabRecord(name="isi", file="labs/isi.yml", sha256=""),
        release="bullseye",
        debian="11.11",
        epoch=1700000000,
        substitutions=(substitution,),
        packages=package_records,
    )


@pytest.fixture(scope="session")
def phone_secrets(lab):
    return Secrets(
        administrator="not-a-real-one",
        salt="0123456789abcdef",
        extensions={extension.number: f"s3cret{extension.number}" for extension in lab.extensions},
        mailboxes={extension.number: "1234" for extension in lab.extensions},
    )


@pytest.fixture(scope="session")
def recorded_subject(recorded, lab, built, phone_secrets, tmp_path_factory):
    """The recorded appliance as it was, with nothing turned wrong."""
    return Subject(
        guest=RecordedGuest(recorded),
        lab=lab,
        secrets=phone_secrets,
        release=releases.BULLSEYE,
        manifest=built,
        hardware=lab.hardware,
        logs=tmp_path_factory.mktemp("logs"),
    )


@pytest.fixture
def subject(guest, recorded_subject):
    return dataclasses.replace(recorded_subject, guest=guest)
