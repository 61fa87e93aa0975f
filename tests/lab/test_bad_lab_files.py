"""Lab files that must fail, each with its exact line: file, line, place, fault and mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toiplab.errors import ToipLabError
from toiplab.lab.load import load

Refused = Callable[..., list[str]]

LONG = "known here: name, title, hostname, locale, keyboard, timezone, release, tasks, machine, "
LONG += "administrator, ssh, networks, sip, contexts, voicemail, parking, features, cdr"
NAME = "is not a name of 1 to 40 letters, digits, spaces and . ' ( ) - _"
EMPTY = "nothing is given: give a value (one with # or * between quotes), or leave the key out"
LIST = "a list is wanted here, such as [a, b] or lines that begin with -"
AWA = "contexts.dakar.extensions[0]"

# (what is replaced in tests/lab/lab.yml, by what, the line that refuses it)
KEYS = [
    ("hostname: toip", "hostnam: toip", "9: hostnam: unknown key; did you mean hostname?"),
    (
        "ring_seconds: 20 ",
        "ring_second: 20 ",
        "72: contexts.dakar.ring_second: unknown key; did you mean ring_seconds?",
    ),
    (
        "name: Awa Ndiaye}",
        "name: Awa, secrt: abcd}",
        f"75: {AWA}.secrt: unknown key; did you mean secret?",
    ),
    (
        "router: 192",  # the key that is meant is not said to be missing as well
        "routers: 192",
        "57: networks.lab.dhcp[0].routers: unknown key; did you mean router?",
    ),
    ("hostname: toip", "zzz: toip", f"9: zzz: unknown key; {LONG}"),
    (
        "  ISI_KM:",
        "  ISI_KM:\n    <<: {a: b}",
        "78: contexts.ISI_KM.<<: unknown key; known here: ring_seconds, unanswered, extensions",
    ),
    (
        "hostname: toip",
        "hostname: toip\nhostname: b",
        "10: hostname is given twice: keep one of them",
    ),
    (
        "  number: 701",
        "  number: 701\n  number: 702",
        "86: voicemail.number is given twice: keep one of them",
    ),
    ("title: Lab", "#title: Lab", "7: title is missing"),
    (", name: Awa Ndiaye", "", f"75: {AWA}.name is missing"),
    ("cdr: csv", "? [a, b]\n: c\ncdr: csv", "96: a key is one word, not a list or keys"),
    (
        "  ISI_KM:",
        "  ISI KM:",
        "77: contexts.ISI KM: 'ISI KM' is not a context name: letters, digits, _ and -",
    ),
    (
        "  ISI_KM:",
        "  '[key]':",
        "77: contexts.[key]: '[key]' is not a context name: letters, digits, _ and -",
    ),
]
LATE = [  # what would be found out only in the middle of a build, or on the appliance
    (
        "language: fr",
        "language: es",
        "64: sip.language: 'es' is not known: 'fr' or 'en'",
    ),
    (
        "codecs: [ulaw]",
        "codecs: [ulaw, ulaw]",
        "62: sip.codecs[1]: ulaw is given twice: keep one of them",
    ),
    (
        "password_authentication: true",
        "password_authentication: false",
        "36: ssh.password_authentication: without passwords, and without "
        "administrator.ssh_keys, nobody could log in by ssh: give a key",
    ),
]
SHAPES = [
    ("cdr: csv", "cdr:", f"96: cdr: {EMPTY}"),
    ('"#"', "#", f"93: features.blind_transfer: {EMPTY}"),
    ("memory: 1024", "memory:", f"22: machine.memory: {EMPTY}"),
    ("[192.168.10.1/24, 192.168.100.17/28]", "192.168.10.1/24",
     f"53: networks.lab.addresses: {LIST}"),
    ("[192.168.10.1/24, 192.168.100.17/28]", "[]",
     "53: networks.lab.addresses: one at least is wanted here"),
    ("[ulaw]", "ulaw", f"62: sip.codecs: {LIST}"),
    ("[ulaw]", "[]", "62: sip.codecs: one at least is wanted here"),
    ("hostname: toip", "hostname: [a]", "9: hostname: one text is wanted here, not a list or keys"),
    ("port: 22", "port: {a: b}", "34: ssh.port: a whole number is wanted here"),
    ("password_authentication: true", "password_authentication: [a]",
     "36: ssh.password_authentication: true or false is wanted here"),
    ("{number: 2001, name: Awa Ndiaye}", "2001",
     f"75: {AWA}: keys of its own are wanted here: number, name, secret, pin"),
]  # fmt: skip
VALUES = [
    ("hostname: toip", "hostname: TOIP", "9: hostname: 'TOIP' is not a host name: small letters, "
     "digits and hyphens, 63 at most (RFC 1123)"),
    ("Africa/Dakar", "Africa/Dakkar",
     "12: timezone: 'Africa/Dakkar' is not a time zone; did you mean Africa/Dakar?"),
    ("release: auto", "release: trixie",
     "16: release: 'trixie' is not known: 'auto', 'buster' or 'bullseye'"),
    ("ssh-server]", "ssh]",
     "19: tasks[1]: 'ssh' is not known: 'standard', 'ssh-server', 'print-server' or 'desktop'"),
    ("[ulaw]", "[g729]", "62: sip.codecs[0]: 'g729' is not known: 'ulaw', 'alaw', 'gsm' or 'g722'"),
    ("memory: 1024", "memory: 12", "22: machine.memory: 12 is too small: 256 at least"),
    ("cpus: 1", "cpus: 99", "23: machine.cpus: 99 is too large: 16 at most"),
    ("memory: 1024", "memory: lots", "22: machine.memory: 'lots' is not a whole number"),
    ("port: 22", "port: 22.5", "34: ssh.port: '22.5' is not a whole number"),
    ("port: 22", "port: 0x16", "34: ssh.port: '0x16' is not a whole number"),
    ("password_authentication: true", "password_authentication: maybe",
     "36: ssh.password_authentication: 'maybe' is not true or false"),
    ("login: etudiant", "login: root",
     "29: administrator.login: 'root' is a name the system itself uses: choose another"),
    ("ssh_keys: []", "ssh_keys: [hello]", "31: administrator.ssh_keys[0]: 'hello' is not an "
     "OpenSSH public key on one line (the content of a .pub file)"),
    ("number: 701", "number: 0x2bd",
     "85: voicemail.number: '0x2bd' is not a number to dial: 2 to 8 digits"),
    ("number: 701", "number: ७०१",
     "85: voicemail.number: '७०१' is not a number to dial: 2 to 8 digits"),
    ("702-720", "७०२-७२०",
     "89: parking.slots: '७०२-७२०' is not a range of numbers such as 702-720"),
    ("702-720", "720-702",
     "89: parking.slots: '720-702' runs backwards: the smaller number comes first"),
    ("702-720", "0702-0720",
     "89: parking.slots: '0702-0720' begins with 0, which Asterisk drops from parking slots"),
    ("702-720", "10000000-99999999",
     "89: parking.slots: '10000000-99999999' has more than 1000 numbers"),
]  # fmt: skip
SECRETS = [
    ("name: Awa Ndiaye}", "name: Awa, secret: a;b}", f"75: {AWA}.secret: what is given is not "
     "a secret: 4 to 64 of letters, digits and . _ @ % + -"),
    ("name: Awa Ndiaye}", "name: Awa, pin: abcd}",
     f"75: {AWA}.pin: what is given is not a PIN of 3 to 10 digits"),
    ("login: etudiant", "login: etudiant\n  password: 'a b cdefgh'",
     "30: administrator.password: what is given is not a password: 6 to 64 printable ASCII "
     "characters, no space"),
]  # fmt: skip
NETWORKS = [
    ("192.168.10.1/24", "192.168.300.1/24", "53: networks.lab.addresses[0]: '192.168.300.1/24' "
     "is not an address with its prefix, such as 192.168.10.1/24"),
    ("192.168.10.1/24", "192.168.10.1/33", "53: networks.lab.addresses[0]: '192.168.10.1/33' "
     "is not an address with its prefix, such as 192.168.10.1/24"),
    ("192.168.10.1/24", "192.168.10.1", "53: networks.lab.addresses[0]: 192.168.10.1/32 leaves no "
     "room for a phone: give it a prefix such as /24"),
    ("192.168.10.1/24", "192.168.10.0/24",
     "53: networks.lab.addresses[0]: 192.168.10.0/24 is the network's own or broadcast address"),
    ("192.168.10.1/24", "127.0.0.1/24", "53: networks.lab.addresses[0]: 127.0.0.1/24 is no address "
     "for a card: one such as 192.168.10.1/24 is"),
    ("192.168.10.1/24", "10.0.0.1/8",
     "53: networks.lab.addresses[0]: 10.0.0.1/8 collides with VirtualBox's NAT network "
     "10.0.2.0/24"),
    ("192.168.10.1/24", "192.168.100.1/24",
     "53: networks.lab.addresses[1]: 192.168.100.17/28 overlaps an earlier address's network"),
    ("subnet: 192.168.100.16/28", "subnet: 192.168.100.17/28",
     "55: networks.lab.dhcp[0].subnet: '192.168.100.17/28' is not a network such as "
     "192.168.100.16/28"),
    (", 192.168.100.17/28", "", "55: networks.lab.dhcp[0].subnet: 192.168.100.16/28 is no network "
     "of addresses, so dhcpd would refuse to start; add one such as 192.168.100.17/28 to "
     "addresses"),
    ("18-192.168.100.27", "18-27", "56: networks.lab.dhcp[0].range: '192.168.100.18-27' is not a "
     "range of addresses such as 192.168.100.18-192.168.100.27"),
    ("192.168.100.27", "192.168.100.40", "56: networks.lab.dhcp[0].range: 192.168.100.18-"
     "192.168.100.40 does not fit the hosts of 192.168.100.16/28"),
    ("192.168.100.18-192.168.100.27", "192.168.100.27-192.168.100.18",
     "56: networks.lab.dhcp[0].range: '192.168.100.27-192.168.100.18' runs backwards: the smaller "
     "address comes first"),
    ("192.168.100.18-", "192.168.100.17-", "57: networks.lab.dhcp[0].router: 192.168.100.17 lies "
     "inside range, a phone could be given it"),
    ("router: 192.168.100.17", "router: 192.168.100.31",
     "57: networks.lab.dhcp[0].router: 192.168.100.31 is not an address of 192.168.100.16/28"),
    ("default_lease_time: 600", "default_lease_time: 9000",
     "58: networks.lab.dhcp[0].default_lease_time: 9000 is longer than max_lease_time 7200"),
    ("default_lease_time: 600   # seconds\n        max_lease_time: 7200", "max_lease_time: 300",
     "55: networks.lab.dhcp[0]: default_lease_time: 600 is longer than max_lease_time 300"),
    ("listen: 127.0.0.1", "listen: 0.0.0.0", "44: networks.nat.listen: 0.0.0.0 opens the ports to "
     "every network of the host; external_address must then say which address phones use to reach "
     "it"),
    ("sip: 5060", "sip: 10010",
     "46: networks.nat.sip: 10010 lies inside rtp 10000-10039: choose another port"),
    ("sip: 5060\n    rtp: 10000-10039", "sip: 15060\n    rtp: 5000-5100",
     "47: networks.nat.rtp: 5000-5100 holds 5060, the machine's own SIP port"),
    ("10000-10039", "10039-10000", "47: networks.nat.rtp: '10039-10000' is not a range of ports "
     "from 1024 on, such as 10000-10019"),
    ("10000-10039", "500-600", "47: networks.nat.rtp: '500-600' is not a range of ports "
     "from 1024 on, such as 10000-10019"),
    ("10000-10039", "10000-10002", "47: networks.nat.rtp: '10000-10002' has no room for a call: "
     "between two phones it takes 4 ports"),
    ("10000-10039", "10000-60000", "47: networks.nat.rtp: '10000-60000' is too many ports: 1000 at "
     "most"),
]  # fmt: skip
NUMBERS = [
    ("702-720", "701-720",  # row A6
     "89: parking.slots: slot 701 would be hidden behind the voicemail number 701: a call parked "
     "there could never be taken back; start the slots after it"),
    ("number: 700", "number: 705", "89: parking.slots: 702-720 holds the parking number 705 "
     "itself"),
    ("number: 700", "number: 701",
     "88: parking.number: 701 is the voicemail number already: choose another"),
    ("number: 5002", "number: 2001",
     "82: contexts.ISI_KM.extensions[1].number: 2001 is already an extension of dakar"),
    ("number: 2002", "number: 709",
     "76: contexts.dakar.extensions[1].number: 709 is in the block _70X of the voicemail number "
     "701: give one of them another block of ten\n"
     "76: contexts.dakar.extensions[1].number: 709 is in the block _70X of parking (700, slots "
     "702-720), which it would hide: choose another block of ten"),
    ("number: 2002", "number: 719",  # a block of slots only
     "76: contexts.dakar.extensions[1].number: 719 is in the block _71X of parking (700, slots "
     "702-720), which it would hide: choose another block of ten"),
    ("number: 700\n  slots: 702-720", "number: 5000\n  slots: 5001-5002",  # row A7
     "81: contexts.ISI_KM.extensions[0].number: 5001 is in the block _500X of parking (5000, slots "
     "5001-5002), which it would hide: choose another block of ten\n"
     "82: contexts.ISI_KM.extensions[1].number: 5002 is in the block _500X of parking (5000, slots "
     "5001-5002), which it would hide: choose another block of ten"),
    ("  dakar:", "  General:",
     "71: contexts.General: General is a name Asterisk keeps for itself: choose another"),
    ("  dakar:", "  zonemessages:",
     "71: contexts.zonemessages: zonemessages is a name Asterisk keeps for itself: choose another"),
    ("  ISI_KM:", "  Dakar:", "77: contexts.Dakar: Dakar differs from dakar by capitals alone, "
     "which Asterisk does not tell apart: choose another"),
    ('attended_transfer: "*"', 'attended_transfer: "#"',
     "94: features.attended_transfer: # is the key of blind_transfer already: choose another"),
    ('attended_transfer: "*"', 'attended_transfer: "#2"', "94: features.attended_transfer: #2 "
     "begins with #, the other key, which would always answer first"),
]  # fmt: skip
YAML = [
    ("  number: 701", "\tnumber: 701",
     "85: not YAML: found character '\\t' that cannot start any token"),
    ("Awa Ndiaye", "Awa\x07",
     "75: not YAML: the character #x07 is not allowed"),
    ("{number: 2002, name: Moussa Diop}", "*x", "76: not YAML: found undefined alias 'x'"),
    ("machine:", "machine: &m\n  more: *m", "22: machine.more: an alias (*) is not read here: "
     "write it out"),
    ("cdr: csv", "---\ncdr: csv", "96: not YAML: but found another document"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [*KEYS, *LATE, *SHAPES, *VALUES, *SECRETS, *NETWORKS, *NUMBERS, *YAML],
)
def test_one_mistake_has_one_line_with_its_place_and_its_mend(
    refused: Refused, old: str, new: str, line: str
) -> None:
    assert refused((old, new)) == [f"lab.yml:{each}" for each in line.split("\n")]


def test_several_mistakes_have_a_line_each(refused: Refused) -> None:
    assert refused(
        ("hostname: toip", "hostname: TOIP"),
        ("cpus: 1", "cpus: 99"),
        ("number: 5002", "number: abc"),
        ("cdr: csv", "cdr: pgsql"),
    ) == [
        "lab.yml:9: hostname: 'TOIP' is not a host name: small letters, digits and hyphens, "
        "63 at most (RFC 1123)",
        "lab.yml:23: machine.cpus: 99 is too large: 16 at most",
        "lab.yml:82: contexts.ISI_KM.extensions[1].number: 'abc' is not a number to dial: "
        "2 to 8 digits",
        "lab.yml:96: cdr: 'pgsql' is not known: 'csv' or 'mysql'",
    ]


@pytest.mark.parametrize("bad", [";", '"', "<", ">", "\\n", "\\r", "\\0", "\\u2028", "${X}", ","])
def test_a_name_has_no_character_with_a_meaning_elsewhere(refused: Refused, bad: str) -> None:
    typed = f'"Awa{bad}"' if bad.startswith("\\") else f"'Awa{bad}'"

    (line,) = refused(("Awa Ndiaye", typed))

    assert line.startswith(f"lab.yml:75: {AWA}.name: ")
    assert line.endswith(NAME)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "{}:1: a lab file is a list of keys such as 'name: isi'"),
        (b"hello", "{}:1: a lab file is a list of keys such as 'name: isi'"),
        (b"", "{}:1: a lab file is a list of keys such as 'name: isi'"),
        (b"name: \xe9t\xe9\n", "{}: not UTF-8 text (byte 6)"),
        (b"name: " + b"[" * 500, "{}: not a lab file: nested too deeply"),
        (b"name: a\ntitle: b\n", "{0}:1: networks is missing\n{0}:1: contexts is missing"),
    ],
)
def test_what_is_no_lab_file_at_all(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "lab.yml"
    path.write_bytes(content)

    with pytest.raises(ToipLabError) as error:
        load(path)

    assert str(error.value) == message.format(path)


def test_an_absent_file_names_the_lab_files_that_are_there(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yml", "a.secrets.yml"):
        (tmp_path / name).touch()

    with pytest.raises(ToipLabError) as error:
        load(tmp_path / "lab.yml")

    assert str(error.value) == (
        f"{tmp_path}/lab.yml: No such file or directory\n"
        f"  lab files there: {tmp_path}/a.yml, {tmp_path}/b.yml"
    )
