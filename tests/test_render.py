"""What a lab and a release are rendered to: golden trees, variants, and what is refused.

After a change of what is rendered, look at it and renew the trees:

    UPDATE_GOLDEN=1 .venv/bin/pytest tests/test_render.py && git diff tests/golden/render
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath
from uuid import UUID

import jinja2
import pytest

from toiplab.builders.sources import sources_of
from toiplab.host import PROJECT
from toiplab.lab.load import load
from toiplab.lab.model import Lab
from toiplab.lab.secrets import Secrets
from toiplab.releases import BULLSEYE, BUSTER, Archive, Release
from toiplab.render import TEMPLATE, Inputs, Rendered, render, write, write_direct

GOLDEN = Path(__file__).with_name("golden") / "render"
ISI = PROJECT / "labs" / "isi.yml"
FS_UUID = UUID("12345678-1234-5678-1234-567812345678")
HASH = "$6$saltsaltsaltsalt$hash.of.the.administrators.password"
MIRROR = Archive("http://mirror.example.org/debian", "http://mirror.example.org/debian-security")
KEYS = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ awa@salle b",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDP==",
)


def inputs(lab: Lab, release: Release = BUSTER) -> Inputs:
    """Fixed secrets that tell whose they are: secret-2001, 2001 as PIN."""
    return Inputs(
        lab=lab,
        secrets=Secrets(
            administrator="the-password",
            salt="saltsaltsaltsalt",
            extensions={each.number: f"secret-{each.number}" for each in lab.extensions},
            mailboxes={each.number: each.number for each in lab.extensions},
        ),
        release=release,
        password_hash=HASH,
        sources=tuple(s.line() for s in sources_of(release, release.archive or MIRROR)),
    )


@pytest.fixture
def variant(tmp_path: Path):
    """Renders labs/isi.yml with each (pattern, text) replaced once."""

    def rendered(*changes: tuple[str, str], release: Release = BUSTER) -> Rendered:
        text = ISI.read_text(encoding="utf-8")
        for old, new in changes:
            text, count = re.subn(old, lambda _, new=new: new, text, count=1)
            assert count, old
        path = tmp_path / "lab.yml"
        path.write_text(text, encoding="utf-8")
        return render(inputs(load(path), release))

    return rendered


def laid(rendered: Rendered, place: str) -> str:
    return dict(rendered.overlay)[PurePosixPath(place)].decode()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def written(folder: Path, release: Release) -> dict[str, bytes]:
    write(render(inputs(load(ISI), release)), folder)
    write_direct(folder, release=release, fs_uuid=FS_UUID)
    return tree(folder)


@pytest.mark.parametrize("release", [BUSTER, BULLSEYE], ids=lambda release: release.codename)
def test_the_default_lab_is_rendered_as_the_golden_tree(release: Release, tmp_path: Path) -> None:
    """All that a builder is given, but for what overlay/ holds as it is."""
    found = written(tmp_path / "rendered", release)
    as_they_are = {
        f"stage/overlay/{path.relative_to(PROJECT / 'overlay').as_posix()}": path
        for path in (PROJECT / "overlay").rglob("*")
        if path.is_file() and path.suffix != TEMPLATE
    }
    copies = {name: found.pop(name) for name in as_they_are}
    golden = GOLDEN / f"isi-{release.codename}"
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(golden, ignore_errors=True)
        for name, content in found.items():
            (golden / name).parent.mkdir(parents=True, exist_ok=True)
            (golden / name).write_bytes(content)

    kept = tree(golden)

    assert list(found) == list(kept)
    for name, content in found.items():
        assert content.decode().splitlines() == kept[name].decode().splitlines(), name
        assert content == kept[name], name
    assert all(content == as_they_are[name].read_bytes() for name, content in copies.items())


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path / "a", BUSTER) == written(tmp_path / "b", BUSTER)


def test_only_the_owner_may_read_what_was_rendered_and_nothing_old_stays(tmp_path: Path) -> None:
    folder = tmp_path / "rendered"
    folder.mkdir(mode=0o777)
    (folder / "old").touch()
    written(folder, BUSTER)

    assert not (folder / "old").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*") if p.is_file()} == {0o600}


def test_secrets_are_where_they_are_used_and_nowhere_else(tmp_path: Path) -> None:
    files = written(tmp_path / "rendered", BUSTER)

    assert [name for name, content in files.items() if b"secret-2001" in content] == [
        "stage/overlay/etc/asterisk/sip.conf"
    ]
    assert [name for name, content in files.items() if HASH.encode() in content] == [
        "stage/passwords"
    ]
    assert not [name for name, content in files.items() if b"the-password" in content]


def test_no_line_of_a_configuration_ends_in_blanks(tmp_path: Path) -> None:
    for name, content in written(tmp_path / "rendered", BUSTER).items():
        if not name.endswith(".mp3"):
            blank = [line for line in content.decode().splitlines() if line != line.rstrip()]
            assert not blank, name


@pytest.mark.parametrize(
    ("release", "there"), [(BUSTER, True), (BULLSEYE, False)], ids=["buster", "bullseye"]
)
def test_a_template_that_comes_out_empty_is_not_laid(release: Release, there: bool) -> None:
    places = dict(render(inputs(load(ISI), release)).overlay)

    assert (PurePosixPath("/etc/apt/apt.conf.d/80toip-lab") in places) is there
    assert all(content.strip() for content in places.values())


def test_calls_recorded_in_mysql(variant) -> None:
    """Row A10."""
    csv, mysql = variant(), variant(("cdr: csv", "cdr: mysql"))
    only_mysql = {place for place, _ in mysql.overlay} - {place for place, _ in csv.overlay}

    assert {str(place) for place in only_mysql} == {
        "/etc/asterisk/cdr_mysql.conf",
        "/etc/systemd/system/toip-lab-cdr.service",
        "/usr/share/toip-lab/cdr.sql",
    }
    assert set(mysql.packages) - set(csv.packages) == {"mariadb-server"}
    # cdr_mysql fills a column of a field's own name; an alias takes that field from it
    columns = laid(mysql, "/etc/asterisk/cdr_mysql.conf").partition("[columns]")[2].split("\n")
    assert [line for line in columns if line] == ["alias start => calldate"]


def test_no_video(variant) -> None:
    """Row A1."""
    sip = laid(variant((r"video_codecs: \[h264\]", "video_codecs: []")), "/etc/asterisk/sip.conf")

    assert "videosupport" not in sip
    assert re.findall("^allow=.*", sip, re.MULTILINE) == ["allow=ulaw"]


def test_a_context_that_hangs_up_has_no_voicemail_and_the_other_keeps_its_own(variant) -> None:
    """Row A4."""
    rendered = variant(("unanswered: voicemail", "unanswered: hangup"))
    dialplan = laid(rendered, "/etc/asterisk/extensions.conf")

    assert re.findall(r"VoiceMail\(.*@(\w+),u\)", dialplan) == ["ISI_KM"]


@pytest.mark.parametrize(
    ("answer", "passwords"),
    [
        ("yes", f"etudiant:{HASH}\nroot:{HASH}\n"),
        ("no", f"etudiant:{HASH}\n"),
        ("prohibit-password", f"etudiant:{HASH}\n"),
        ("forced-commands-only", f"etudiant:{HASH}\n"),
    ],
)
def test_root_has_a_password_only_if_it_may_log_in_with_one(
    variant, answer: str, passwords: str
) -> None:
    """Row H1."""
    rendered = variant(("root_login: prohibit-password", f"root_login: {answer}"))

    assert rendered.passwords == passwords
    assert f"\nPermitRootLogin {answer}\n" in laid(rendered, "/etc/ssh/sshd_config")
    assert f"ROOT_LOGIN={answer}\n" in rendered.settings


def test_settings_say_to_a_shell_what_the_lab_file_says(variant, tmp_path: Path) -> None:
    name = "L'admin ''de la'' salle (B)"
    rendered = variant(
        ("full_name: .*", f'full_name: "{name}"'),
        (r" ssh_keys: \[\]", f" ssh_keys: {list(KEYS)}"),
        (r" root_keys: \[\]", f" root_keys: {list(KEYS[:1])}"),
    )
    (tmp_path / "settings").write_text(rendered.settings, encoding="utf-8")

    said = subprocess.run(
        ["bash", "-euc", '. "$0"; printf "%s|" "$FULL_NAME" "$SSH_KEYS" "$ROOT_KEYS"',
         tmp_path / "settings"],
        capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip

    assert said == f"{name}|{KEYS[0]}\n{KEYS[1]}|{KEYS[0]}|"


def test_thirty_extensions(variant) -> None:
    many = "\n".join(f"      - {{number: {n}, name: Poste {n}}}" for n in range(3000, 3030))
    rendered = variant((r"      - \{number: 2001.*\}", many))
    sip = laid(rendered, "/etc/asterisk/sip.conf")
    dialplan = laid(rendered, "/etc/asterisk/extensions.conf")
    voicemail = laid(rendered, "/etc/asterisk/voicemail.conf")

    for number in map(str, range(3000, 3030)):
        assert f"\n[{number}]\ntype=friend\nsecret=secret-{number}\n" in sip
        assert f"\nexten => {number},hint,SIP/{number}\n" in dialplan
        assert f"\n{number} => {number},Poste {number}\n" in voicemail
    assert re.findall(r"exten => (_\d+X),1,", dialplan) == [
        "_300X", "_301X", "_302X", "_200X", "_500X",
    ]  # fmt: skip


def test_tasks_choose_the_packages(variant) -> None:
    """Row I3."""
    plain = variant((r"tasks: \[.*\]", "tasks: []"))
    all_tasks = (r"tasks: \[.*\]", "tasks: [standard, ssh-server, print-server, desktop]")
    full = variant(all_tasks)
    eleven = variant(all_tasks, release=BULLSEYE)

    assert {"task-ssh-server", "task-print-server", "task-desktop"} <= set(full.packages)
    assert set(full.packages) - set(eleven.packages) == {"task-print-server"}  # it has none
    assert {"cups", "cups-bsd", "cups-client"} <= set(eleven.packages)
    assert not [name for name in plain.packages if name.startswith("task-")]
    assert "openssh-server" in plain.packages


def test_what_dpkg_reads_comes_before_the_packages(variant) -> None:
    early = {str(place) for place in variant().early}

    assert "/etc/dpkg/dpkg.cfg.d/toip-lab" in early
    assert not [place for place in early if place.startswith("/etc/asterisk")]


@pytest.fixture
def one_template(tmp_path: Path):
    """Renders one template of overlay/, in a project that has nothing else."""

    def rendered(text: str) -> Rendered:
        for name in ("overlay/file.j2", "preseed/packages.list.j2", "preseed/packages.cfg.j2"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text if "overlay" in name else "", encoding="utf-8")
        given = inputs(load(ISI))
        broken = given.secrets.model_copy(update={"salt": "a\nb"})
        return render(replace(given, secrets=broken), root=tmp_path)

    return rendered


@pytest.mark.parametrize(
    "text",
    [
        "{{ lab.nothing }}",
        "{{ lab.sip }}",
        "{{ lab.administrator.password }}",
        "{{ lab.contexts }}",
        "{{ lab.ssh.password_authentication }}",
        "{{ secrets.salt }}",
        "{{ sources }}",
    ],
)
def test_a_template_prints_values_only(one_template, text: str) -> None:
    with pytest.raises(jinja2.TemplateError):
        one_template(text)


def test_a_template_that_prints_a_value(one_template) -> None:
    assert one_template("\n{{ lab.name }}\n").overlay == ((PurePosixPath("/file"), b"isi\n"),)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not on this machine")
def test_shellcheck_finds_nothing_in_the_settings(variant, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text(variant().settings, encoding="utf-8")

    subprocess.run(
        ["shellcheck", "-s", "bash", "-e", "SC2034", tmp_path / "settings"],
        check=True,
    )
