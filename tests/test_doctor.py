"""What ``invoke doctor`` finds: with fake programs on PATH, and for real on this machine."""

import io
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from toiplab import doctor
from toiplab.doctor import Finding, Report, ToolFound
from toiplab.host import Tool

USER = pwd.getpwuid(os.geteuid()).pw_name
Fake = Callable[[str, str], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a shell script on a PATH that holds nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    def put(name: str, body: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)

    return put


def shown(report: Report) -> str:
    out = io.StringIO()
    doctor.show(report, Console(file=out))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@pytest.mark.parametrize(
    ("program", "body", "version"),
    [
        ("sipsak", '[ "$*" = -V ] && echo "sipsak 0.9.8.1  by Nils Ohlmeier"', "0.9.8.1"),
        ("mke2fs", '[ "$*" = -V ] && echo "mke2fs 1.47.0 (5-Feb-2023)" >&2', "1.47.0"),
        ("gpg", '[ "$*" = --version ] && echo "gpg (GnuPG) 2.2.40"', "2.2.40"),
        ("sipp", '[ "$*" = -v ] && printf "\\n SIPp v3.6.1-SCTP-PCAP.\\n"; exit 99', "3.6.1"),
        ("shellcheck", 'printf "ShellCheck - a tool\\nversion: 0.9.0\\n"', "0.9.0"),
    ],
)
def test_each_tool_is_asked_its_version_in_its_own_way(
    fake: Fake, program: str, body: str, version: str
) -> None:
    fake(program, body)

    assert doctor.version(Tool(program, "any", "…")) == version


def test_a_tool_that_does_not_tell_has_its_packages_version(fake: Fake) -> None:
    fake("newuidmap", 'echo "usage: newuidmap <pid>" >&2; exit 1')
    assert doctor.version(Tool("newuidmap", "uidmap", "…")) == "present"

    fake("dpkg-query", 'printf "1:4.13+dfsg1-1+deb12u2"')
    assert doctor.version(Tool("newuidmap", "uidmap", "…")) == "4.13+dfsg1"


def test_a_file_is_there_or_missing(fake: Fake, tmp_path: Path) -> None:
    keyring = Tool(str(tmp_path / "keyring.gpg"), "debian-archive-keyring", "…")
    assert doctor.version(keyring) is None

    Path(keyring.program).touch()
    assert doctor.version(keyring) == "present"


def test_without_its_tools_the_direct_builder_cannot_run(fake: Fake) -> None:
    report = doctor.report()

    direct = report.builders[0]
    assert not direct.good
    assert direct.detail.startswith("missing: mmdebstrap, apt-get")
    assert direct.mend == "make setup"
    assert report.status == 2
    assert "mmdebstrap" in {tool.program for tool in report.missing}
    assert "packer" not in {tool.program for tool in report.missing}


def test_an_ordinary_users_namespaces_are_tried_out(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "tools", lambda: ())
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    for program in ("apt-get", "mount", "mke2fs", "newuidmap"):
        fake(program, "")

    fake("mmdebstrap", '[ "$*" = "--unshare-helper true" ]')
    assert doctor.direct_builder() == Finding(
        "direct", "can run, as an ordinary user (in user namespaces)"
    )

    fake("mmdebstrap", "exit 25")
    assert doctor.direct_builder() == Finding(
        "direct",
        "the user 4000000 has no name in /etc/passwd",
        good=False,
        mend="build as a user who has one\nor build as root",
    )


MINE = f"{USER}:100000:65536\n"
OTHERS = "other:100000:65536\nanother:165536:65536\n"


@pytest.mark.parametrize(
    ("files", "detail", "mend"),
    [
        pytest.param(
            {"etc/subuid": OTHERS, "etc/subgid": OTHERS},
            f"/etc/subuid gives no ids to {USER}",
            f"sudo usermod --add-subuids 231072-296607 {USER}",
            id="no subuid line, the first free range",
        ),
        pytest.param(
            {"etc/subuid": MINE},
            f"/etc/subgid gives no ids to {USER}",
            f"sudo usermod --add-subgids 165536-231071 {USER}",
            id="no subgid file",
        ),
        pytest.param(
            {
                "etc/subuid": f"{os.geteuid()}:100000:65536\n",
                "etc/subgid": MINE,
                "proc/sys/kernel/unprivileged_userns_clone": "0\n",
            },
            "user namespaces are forbidden to ordinary users "
            "(kernel.unprivileged_userns_clone is 0)",
            "sudo sysctl --write kernel.unprivileged_userns_clone=1",
            id="switched off in the kernel",
        ),
        pytest.param(
            {
                "etc/subuid": MINE,
                "etc/subgid": MINE,
                "proc/sys/kernel/unprivileged_userns_clone": "1\n",
                "proc/sys/user/max_user_namespaces": "96365\n",
                "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
            },
            "user namespaces are forbidden to ordinary users "
            "(kernel.apparmor_restrict_unprivileged_userns is 1)",
            "sudo sysctl --write kernel.apparmor_restrict_unprivileged_userns=0",
            id="Ubuntu's AppArmor",
        ),
        pytest.param(
            {"etc/subuid": MINE, "etc/subgid": MINE},
            "mmdebstrap cannot make a user namespace: unshare() failed",
            "containers and chroots often forbid them; "
            "to see more: mmdebstrap --unshare-helper true",
            id="unknown",
        ),
    ],
)
def test_why_there_are_no_namespaces(
    tmp_path: Path, files: dict[str, str], detail: str, mend: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    found = doctor.namespace_obstacle(
        os.geteuid(), "W: well\nE: unshare() failed\nE: more\n", tmp_path
    )

    assert found == Finding("direct", detail, good=False, mend=f"{mend}\nor build as root")


def test_too_little_room(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:        2097152 kB\nMemAvailable:     524288 kB\n")

    assert doctor.memory(meminfo) == Finding(
        "memory",
        "0.5 GiB available; booting and examining the appliance takes 2.0 GiB",
        good=False,
        mend="close other programs before booting the appliance",
    )
    disk = doctor.disk_space(tmp_path, needed=2**60)
    assert not disk.good
    assert disk.mend == "make room, or move the project to a larger disk"


def test_the_report_as_it_is_printed() -> None:
    report = Report(
        system="Debian GNU/Linux 12 (bookworm), Python 3.11.2",
        tools=(
            ToolFound(Tool("mke2fs", "e2fsprogs", "makes the root file system"), "1.47.0"),
            ToolFound(Tool("sipsak", "sipsak", "asks a SIP server"), None),
            ToolFound(Tool("packer", "packer", "later"), None, needed=False),
        ),
        builders=(Finding("direct", "no ids [for a]", good=False, mend="sudo usermod\nor root"),),
        machine=(Finding("archive", "answers"),),
    )

    assert shown(report) == (
        "Debian GNU/Linux 12 (bookworm), Python 3.11.2\n"
        "\n"
        "Tools\n"
        "  ✓  mke2fs  1.47.0   makes the root file system\n"
        "  ✗  sipsak  missing  asks a SIP server\n"
        "  ·  packer  missing  later\n"
        "  To install what is missing: apt-get install sipsak   (or: make setup)\n"
        "\n"
        "Builders\n"
        "  ✗  direct  no ids [for a]\n"
        "             → sudo usermod\n"
        "               or root\n"
        "\n"
        "This machine\n"
        "  ✓  archive  answers"
    )


def test_this_machine() -> None:
    archive = Finding("archive", "answers")
    builder = Finding("qemu", "can run, with Packer 1.6.6")
    report = doctor.report([archive], [builder])
    text = shown(report)

    assert report.machine[-1] == archive
    assert [builder.subject for builder in report.builders] == ["direct", "qemu"]
    assert report.status == (0 if report.builders[0].good else 2)
    assert max(map(len, text.splitlines())) <= 100 or report.missing
    assert "\x1b" not in text
