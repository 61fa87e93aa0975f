"""What a lab file may say, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml

from toiplab.host import PROJECT
from toiplab.lab.load import load
from toiplab.lab.model import Lab

Loaded = Callable[..., Lab]
ISI = PROJECT / "labs" / "isi.yml"
CLASSE = PROJECT / "labs" / "classe.yml"
WITHOUT_DEFAULT = ("name", "title", "networks", "contexts")


def test_the_default_lab_file_is_what_the_course_asks_for() -> None:
    lab = load(ISI)

    assert {name: [each.number for each in it.extensions] for name, it in lab.contexts.items()} == {
        "dakar": ["2001", "2002", "2003", "2004"],
        "ISI_KM": ["5001", "5002", "5003", "5004"],
    }
    assert (lab.nat_interface, lab.lab_interface) == ("enp0s3", "enp0s8")
    assert len(lab.hardware.forwards) == 2 + 80
    assert {forward.host_address for forward in lab.hardware.forwards} == {IPv4Address("127.0.0.1")}


def test_the_lab_of_a_class_holds_thirty_phones_and_ten_calls_at_once() -> None:
    lab, isi = load(CLASSE), load(ISI)
    (served,) = lab.networks.lab.dhcp
    addresses = int(served.range.last) - int(served.range.first) + 1
    ports = len(set(lab.networks.nat.rtp))
    calls, phones, media, rtp_and_rtcp = 10, 2, 2, 2

    assert len(lab.extensions) == 30
    assert max(len(context.extensions) for context in lab.contexts.values()) == 2 * calls
    assert addresses >= 30 + 10
    # chan_sip keeps what a call had for half a minute: as many have just ended
    assert ports >= 2 * calls * phones * media * rtp_and_rtcp
    assert (lab.parking, lab.voicemail) == (isi.parking, isi.voicemail)
    assert lab.hardware.name != isi.hardware.name
    assert lab.networks.lab.name != isi.networks.lab.name


def test_a_key_that_is_left_out_has_the_value_the_default_file_shows(
    tmp_path: Path,
) -> None:
    """The claim of its first comment."""
    shown = yaml.load(ISI.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text only
    stripped = {key: shown[key] for key in WITHOUT_DEFAULT}
    lab_network = stripped["networks"]["lab"]
    del stripped["networks"]["nat"], lab_network["name"]
    for subnet in lab_network["dhcp"]:
        del subnet["default_lease_time"], subnet["max_lease_time"]
    for context in stripped["contexts"].values():
        del context["ring_seconds"], context["unanswered"]
    path = tmp_path / "stripped.yml"
    path.write_text(yaml.safe_dump(stripped, sort_keys=False), encoding="utf-8")

    assert load(path) == load(ISI)


def test_no_stays_a_word_and_a_leading_zero_stays(loaded: Loaded) -> None:
    lab = loaded(
        ("name: Awa Ndiaye", "name: no"),
        ("number: 2002", "number: 0602"),
        ("root_login: prohibit-password", "root_login: no"),
        ("password_authentication: true", "password_authentication: no"),
        ("ssh_keys: []", "ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA]"),
    )

    assert lab.extensions[0].name == "no"
    assert lab.extensions[1].number == "0602"
    assert lab.ssh.root_login == "no"
    assert lab.ssh.password_authentication is False


def test_parking_of_the_second_example_builds_where_the_numbers_are_free(loaded: Loaded) -> None:
    """Row A7."""
    lab = loaded(
        ("number: 5001", "number: 5101"),
        ("number: 5002", "number: 5102"),
        ("number: 700\n  slots: 702-720", "number: 5000\n  slots: 5001-5002"),
    )

    assert str(lab.parking.slots) == "5001-5002"


def test_names_of_people_are_taken_as_they_are_written(loaded: Loaded) -> None:
    lab = loaded(("Awa Ndiaye", "Aïssatou N'Diaye (salle B-2)"))

    assert lab.extensions[0].name == "Aïssatou N'Diaye (salle B-2)"


def test_ports_may_be_open_to_others_when_the_address_is_said(loaded: Loaded) -> None:
    lab = loaded(("listen: 127.0.0.1", "listen: 0.0.0.0\n    external_address: 10.1.1.1"))

    assert lab.networks.nat.advertised == IPv4Address("10.1.1.1")


def test_a_byte_order_mark_is_no_part_of_the_first_key(lay: Callable[..., Path]) -> None:
    path = lay(("# The lab of", "\ufeff# The lab of"))

    assert load(path).name == "isi"


def test_a_public_key_keeps_its_comment(loaded: Loaded) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ awa@salle b"

    assert loaded(("ssh_keys: []", f"ssh_keys: ['{key}']")).administrator.ssh_keys == (key,)


@pytest.mark.parametrize("field", ["login", "full_name", "password"])
def test_nothing_of_a_lab_changes_once_read(loaded: Loaded, field: str) -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(loaded().administrator, field, "other")
