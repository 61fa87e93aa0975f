"""What other lab files than the default ask of the appliance."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import IPv4Address

import pytest

from tests.exam.recording import RecordedGuest
from toiplab.exam import asterisk, calls, dialplan, network, packages, ssh, system
from toiplab.exam.runner import Outcome, run_check
from toiplab.hardware import NatAdapter
from toiplab.host import Finished
from toiplab.manifest import SubstitutionRecord

TABLE = "runuser -u asterisk -- mysql -BNe 'SHOW TABLES' asterisk"


def of_lab(subject, **changes):
    lab = subject.lab.model_copy(update=changes)
    return dataclasses.replace(subject, lab=lab)


@pytest.mark.parametrize(
    ("backend", "table", "message"),
    [
        ("MySQL", "cdr\n", ""),
        ("sqlite", "cdr\n", "call records go to mysql: expected yes, saw no"),
        ("MySQL", "ERROR 1049 (42000): Unknown database", "table of call records: expected cdr"),
    ],
)
def test_call_records_in_mysql(subject, recorded, backend, table, message):
    guest = RecordedGuest({**recorded, TABLE: Finished(0, table)})
    guest.turn("cdr show status", "    csv\n", f"    {backend}\n")

    result = run_check(
        dataclasses.replace(of_lab(subject, cdr="mysql"), guest=guest), asterisk.modules
    )

    assert result.outcome is (Outcome.FAIL if message else Outcome.PASS)
    assert message in result.told


class OneAnswer:
    """A guest that gives one answer to whatever it is asked."""

    def __init__(self, output: str) -> None:
        self.output = output
        self.asked = ""

    def ask(self, *commands):
        (self.asked,) = commands
        return (Finished(0, self.output),)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ('"Awa Ndiaye" <2001>\tANSWERED\n', "a call of 2001 to 701 is in mysql"),
        ('"Awa Ndiaye" <2001>\tNO ANSWER\n', "expected ANSWERED, saw NO ANSWER"),
        ("\tANSWERED\n", "its caller: expected Awa Ndiaye <2001>, saw nothing"),
        ('"Awa Ndiay\u00c3\u00a9" <2001>\tANSWERED\n', "saw Awa Ndiay\u00c3\u00a9 <2001>"),
        ("ERROR 1146 (42S02): Table doesn't exist\n", "expected ANSWERED, saw nothing"),
    ],
)
def test_a_call_is_recorded_in_mysql(subject, output, told):
    guest = OneAnswer(output)

    result = run_check(
        dataclasses.replace(of_lab(subject, cdr="mysql"), guest=guest), calls.call_records
    )

    assert result.outcome is (Outcome.PASS if "is in mysql" in told else Outcome.FAIL)
    assert told in result.told
    assert "dst = '701' AND dcontext = 'dakar'" in guest.asked


@pytest.mark.parametrize(
    ("task", "answer", "told"),
    [
        ("print-server", "scheduler is running\n", "task-ssh-server, scheduler is running"),
        (
            "print-server",
            "scheduler is not running\n",
            "lpstat -r: expected scheduler is running, saw scheduler is not running",
        ),
        ("desktop", "inactive\n", "is-active display-manager: expected active, saw inactive"),
    ],
)
def test_a_task_of_the_lab_is_at_work(subject, recorded, task, answer, told):
    command, _ = packages.AT_WORK[task]
    guest = RecordedGuest({**recorded, command: Finished(0, answer)})
    chosen = of_lab(subject, tasks=("standard", "ssh-server", task))

    assert told in run_check(dataclasses.replace(chosen, guest=guest), packages.tasks).told


@pytest.mark.parametrize(
    ("setting", "shown", "root"),
    [("yes", "yes", "P"), ("no", "no", "L"), ("forced-commands-only", "forced-commands-only", "L")],
)
def test_root_login_as_the_lab_says(subject, guest, setting, shown, root):
    guest.turn("sshd -T", "permitrootlogin without-password", f"permitrootlogin {shown}")
    if root != "L":
        guest.turn("passwd --status root", "root L", f"root {root}")
    rules = subject.lab.ssh.model_copy(update={"root_login": setting})

    result = run_check(of_lab(subject, ssh=rules), ssh.access)

    assert result.outcome is Outcome.PASS, result.told


def test_root_locked_where_the_lab_opens_it_is_seen(subject, guest):
    guest.turn("sshd -T", "permitrootlogin without-password", "permitrootlogin yes")
    rules = subject.lab.ssh.model_copy(update={"root_login": "yes"})

    assert run_check(of_lab(subject, ssh=rules), ssh.access).told == (
        "root's password (L locked, P usable): expected P, saw L"
    )


def test_a_context_that_hangs_up(subject, guest):
    contexts = {
        name: context.model_copy(update={"unanswered": "hangup"})
        for name, context in subject.lab.contexts.items()
    }
    hanging_up = of_lab(subject, contexts=contexts)

    assert run_check(hanging_up, dialplan.ringing).outcome is Outcome.FAIL
    for name in contexts:
        guest.turn(f"dialplan show {name}", f"VoiceMail(${{EXTEN}}@{name},u)", "Hangup()")
    again = dataclasses.replace(hanging_up)
    assert run_check(again, dialplan.ringing).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("tasks", "outcome"), [((), Outcome.FAIL), (("print-server",), Outcome.PASS)]
)
def test_a_print_server_may_listen_where_the_lab_has_one(subject, guest, tasks, outcome):
    guest.turn(
        "ss -H -lntup",
        '127.0.0.1:5038 0.0.0.0:* users:(("asterisk"',
        '0.0.0.0:631 0.0.0.0:* users:(("cupsd"',
    )

    assert run_check(of_lab(subject, tasks=tasks), network.listeners).outcome is outcome


@pytest.mark.parametrize(
    ("stranger", "outcome"),
    [
        ('udp UNCONN 0 0 0.0.0.0:41234 0.0.0.0:* users:(("systemd-timesyn"', Outcome.PASS),
        ('udp UNCONN 0 0 0.0.0.0:123 0.0.0.0:* users:(("systemd-timesyn"', Outcome.FAIL),
        ('udp UNCONN 0 0 0.0.0.0:41234 0.0.0.0:* users:(("rpcbind"', Outcome.FAIL),
        ('tcp LISTEN 0 9 0.0.0.0:41234 0.0.0.0:* users:(("asterisk"', Outcome.FAIL),
    ],
)
def test_only_those_who_ask_may_hold_a_random_port(subject, recorded, stranger, outcome):
    sockets = recorded["ss -H -lntup"]
    listening = Finished(0, f"{sockets.output}{stranger},pid=1,fd=3))\n")
    guest = RecordedGuest({**recorded, "ss -H -lntup": listening})

    result = run_check(dataclasses.replace(subject, guest=guest), network.listeners)

    assert result.outcome is outcome, result.told


@pytest.mark.parametrize("check", [network.listeners, network.dhcp_cards], ids=lambda c: c.name)
def test_the_sockets_as_debian_10_shows_them(subject, recorded, check):
    """The first two columns are one, and the programs come on a line of their own."""
    narrow = {
        command: Finished(0, re.sub(r"(?m)^(\w+) +([A-Z]+)", r"\1\2", broken))
        for command in ("ss -H -lntup", "ss -H -a -0 -p")
        if (broken := recorded[command].output.replace(" users:", "\nusers:"))
    }
    guest = RecordedGuest({**recorded, **narrow})

    result = run_check(dataclasses.replace(subject, guest=guest), check)

    assert result.outcome is Outcome.PASS, result.told


KERNEL_TAKEN = "5.10.209-1"


@pytest.mark.parametrize(
    ("runs", "outcome"), [(KERNEL_TAKEN, Outcome.PASS), ("5.10.199-1", Outcome.FAIL)]
)
def test_a_kernel_in_place_of_one_the_mirror_lacks(subject, guest, runs, outcome):
    name = f"linux-image-{guest.answers['uname -r'].output.strip()}"
    kernel = SubstitutionRecord(
        source="linux-signed-amd64",
        missing_version="5.10.999-1",
        missing_files=(),
        taken_version=KERNEL_TAKEN,
        binaries=(name,),
    )
    packages = tuple(
        package.model_copy(update={"version": KERNEL_TAKEN, "candidate": "5.10.999-1"})
        if package.name == name
        else package
        for package in subject.manifest.packages
    )
    manifest = subject.manifest.model_copy(
        update={"substitutions": (kernel,), "packages": packages}
    )
    guest.answer("uname -v", f"#1 SMP Debian {runs} (2024-01-31)\n")

    result = run_check(dataclasses.replace(subject, manifest=manifest), system.kernel)

    assert result.outcome is outcome, result.told


def test_an_ovf_that_describes_the_lab_passes(subject):
    assert run_check(subject, system.described).told == ("toip-lab-isi, 1024 MiB, 82 forwards")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, "name: expected toip-lab-isi, saw other"),
        ({"memory": 512}, "memory in MiB: expected 1024, saw 512"),
        ({"cpus": 4}, "processors: expected 1, saw 4"),
        ({"adapters": ()}, "adapters: expected 2, saw 0"),
    ],
)
def test_an_ovf_that_describes_another_machine_is_seen(subject, changes, message):
    hardware = dataclasses.replace(subject.hardware, **changes)

    result = run_check(dataclasses.replace(subject, hardware=hardware), system.described)

    assert message in result.told


@pytest.mark.parametrize(
    ("check", "changes", "outcome", "message"),
    [
        (system.boot_order, {}, Outcome.PASS, "HardDisk, DVD"),
        (
            system.boot_order,
            {"boot_order": ("DVD", "HardDisk")},
            Outcome.FAIL,
            "boot order: expected HardDisk DVD, saw DVD HardDisk",
        ),
        (system.dvd_drive, {}, Outcome.PASS, "an empty drive on IDE"),
        (
            system.dvd_drive,
            {"empty_drives": ()},
            Outcome.FAIL,
            "empty DVD drives: expected IDE, saw nothing",
        ),
        (
            system.dvd_drive,
            {"empty_drives": ("AHCI",)},
            Outcome.FAIL,
            "empty DVD drives: expected IDE, saw AHCI",
        ),
    ],
)
def test_what_the_ovf_boots_from(subject, check, changes, outcome, message):
    hardware = dataclasses.replace(subject.hardware, **changes)

    result = run_check(dataclasses.replace(subject, hardware=hardware), check)

    assert (result.outcome, result.told) == (outcome, message)


def test_a_forward_opened_to_the_whole_network_is_seen(subject):
    nat, internal = subject.hardware.adapters
    opened = tuple(
        dataclasses.replace(forward, host_address=IPv4Address("0.0.0.0"))
        for forward in nat.forwards[:1]
    )
    adapters = (NatAdapter((*opened, *nat.forwards[1:])), internal)
    hardware = dataclasses.replace(subject.hardware, adapters=adapters)

    result = run_check(dataclasses.replace(subject, hardware=hardware), system.described)

    assert result.outcome is Outcome.FAIL
    assert "forwards too many: expected nothing, saw ssh:tcp:0.0.0.0:2222:22" in result.told
