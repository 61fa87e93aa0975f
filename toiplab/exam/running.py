"""``invoke smoke --host``: a machine that is already up, such as the OVA in a VirtualBox.

It is reached as its users reach it, over its port forwards or over its lab network, and is
used like any other. It is not restarted, nor is any of its services.
"""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.exam import network, restarts, system
from toiplab.exam.candidate import read_candidate
from toiplab.exam.registry import Check
from toiplab.exam.results import Results
from toiplab.exam.runner import Report, Result, run_exam
from toiplab.exam.smoke import PHONE_PROGRAMS, WITH_PHONES, Options
from toiplab.exam.ssh_guest import SshGuest
from toiplab.exam.subject import Subject
from toiplab.exam.together import run_together
from toiplab.hardware import Hardware, NatAdapter
from toiplab.machine.ports import forward_named
from toiplab.machine.shell import Account
from toiplab.progress import Progress

RUNNING = "as it runs"
ANSWER_SECONDS = 5.0
# What is said of the OVA and not of the machine, and what restarts something.
LEFT_OUT = (
    system.described,
    system.boot_order,
    system.dvd_drive,
    network.restarted_card,
    *restarts.BEFORE_PHONES,
    *restarts.AFTER_LOAD,
)


def smoke_running(
    ova: Path, address: IPv4Address, results: Results, *, options: Options, progress: Progress
) -> int:
    """Examine the machine at an address, which was made from an OVA; see ``smoke.smoke``.

    Raises:
        ToipLabError: it does not answer there, or does not let the administrator in.
    """
    plan, began = options.plan, time.time()
    host.require("sipsak", "ssh", *(PHONE_PROGRAMS if plan.with_phones else ()))
    candidate = read_candidate(ova, options.lab_file)
    with progress.step(f"Find the machine at {address}"):
        hardware = seen_from_here(candidate.ova.hardware, address)
    ssh = forward_named(hardware, "ssh")
    account = Account(candidate.lab.administrator.login, candidate.secrets.administrator)
    with SshGuest.open(str(address), ssh.host_port, account) as guest:
        results.clear()
        subject = dataclasses.replace(candidate.subject(guest, results.folder), hardware=hardware)
        report = Report(tuple(run(subject, options, progress)))
    results.publish(candidate, report, progress, began=began, where="unknown", name=str(address))
    return report.status


def seen_from_here(hardware: Hardware, address: IPv4Address) -> Hardware:
    """The hardware, its forwards as they lead from here to the machine at an address.

    In its lab network, or wherever it is met without a NAT, they are its own ports.

    Raises:
        ToipLabError: no ssh server answers there.
    """
    ssh = forward_named(hardware, "ssh")
    ports = dict.fromkeys((ssh.host_port, ssh.guest_port))
    for port in ports:
        if _listens(address, port):
            forwarded = port == ssh.host_port
            adapter = NatAdapter(
                tuple(
                    dataclasses.replace(
                        forward,
                        host_address=address,
                        host_port=forward.host_port if forwarded else forward.guest_port,
                    )
                    for forward in hardware.forwards
                )
            )
            return dataclasses.replace(hardware, adapters=(adapter,))
    tried = " or ".join(map(str, ports))
    raise ToipLabError(
        f"{address}: nobody answers on port {tried}",
        hint="switch the machine on, and name the address at which ssh reaches it",
    )


def run(subject: Subject, options: Options, progress: Progress) -> Iterator[Result]:
    """Run the checks of a plan that restart nothing."""
    with progress.step(f"Exam: {RUNNING}"):
        yield from run_exam(subject, kept(options.plan.first), progress, part=RUNNING)
    if checks := kept(options.plan.with_phones):
        with progress.step(f"Exam: {WITH_PHONES}"):
            yield from run_together(subject, checks, progress, part=WITH_PHONES)


def kept(checks: Iterable[Check]) -> list[Check]:
    """Those that are about the machine, and leave it as it is."""
    return [check for check in checks if check not in LEFT_OUT]


def _listens(address: IPv4Address, port: int) -> bool:
    try:
        with socket.create_connection((str(address), port), ANSWER_SECONDS):
            return True
    except OSError:
        return False
