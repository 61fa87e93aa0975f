"""``invoke smoke``: the OVA that ships is booted and used, restarted and examined again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.exam.candidate import read_candidate
from toiplab.exam.places import LabPhones
from toiplab.exam.plan import Plan
from toiplab.exam.registry import Check
from toiplab.exam.results import Results
from toiplab.exam.runner import Report, Result, missed, run_exam
from toiplab.exam.ssh import identity
from toiplab.exam.subject import MachineGuest, Subject
from toiplab.exam.system import settle
from toiplab.exam.together import run_together
from toiplab.machine.accelerator import Choice
from toiplab.machine.lan.capture import CaptureError
from toiplab.machine.lan.network import LabNetwork
from toiplab.machine.machine import Machine
from toiplab.machine.waiting import GuestError
from toiplab.progress import Progress
from toiplab.report.boots import TIMELINE_COMMAND
from toiplab.report.page import Boot

FIRST_BOOT, WITH_PHONES, REBOOT = "first boot", "with phones", "after a reboot"
NAT_ADAPTER = 1
PROGRAMS = ("qemu-system-x86_64", "qemu-img", "sipsak")
PHONE_PROGRAMS = ("baresip", "sipp", "setpriv", "ssh", "ssh-keygen")


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    With ``nat_only`` the phones stand on the host, and there is no lab network. ``keep`` is
    what to do with the machine after the exam, before its power is cut.
    """

    lab_file: Path | None = None
    accelerator: Choice = "auto"
    plan: Plan = dataclasses.field(default_factory=Plan)
    nat_only: bool = False
    keep: Callable[[Machine], None] | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self.plan == Plan() and not self.nat_only


def smoke(
    ova: Path,
    results: Results,
    *,
    options: Options | None = None,
    progress: Progress | None = None,
) -> int:
    """Examine an OVA: after its first boot, with phones, and after a reboot.

    Writes the report page and ``junit.xml``, in place of what an exam before has left.
    Returns the exit status: 0 all passed, 1 a check failed, 2 the exam could not run to its
    end.

    Raises:
        ToipLabError: the exam cannot begin.
    """
    options, progress = options or Options(), progress or Progress()
    plan, began = options.plan, time.time()
    host.require(*PROGRAMS, *(PHONE_PROGRAMS if plan.with_phones else ()))
    candidate = read_candidate(ova, options.lab_file)
    with ExitStack() as stack:
        lan = None
        if plan.with_phones and not options.nat_only:
            lan = stack.enter_context(LabNetwork.open())
        with progress.step(f"Verify {ova.name}"):
            candidate.verify()
        results.clear()
        machine = stack.enter_context(
            candidate.machine(
                results.folder, accelerator=options.accelerator, progress=progress, lan=lan
            )
        )
        subject = dataclasses.replace(
            candidate.subject(MachineGuest(machine), results.folder),
            phones=LabPhones(lan, candidate.lab, candidate.secrets) if lan else None,
            nat_capture=results.nat_capture,
            lab_capture=results.lab_capture if lan else None,
        )
        examination = Examination(subject, machine, results, progress)
        report = Report(tuple(examination.run(plan)))
        results.publish(
            candidate,
            report,
            progress,
            began=began,
            where=machine.accelerator.upper(),
            whole=options.whole,
            boots=tuple(examination.boots),
        )
        if options.keep and machine.running:
            options.keep(machine)
    return report.status


class Examination:
    """The exam of a machine that is switched on in it; what it saw of each boot is in ``boots``."""

    def __init__(
        self,
        subject: Subject,
        machine: Machine,
        results: Results,
        progress: Progress,
    ) -> None:
        self.boots: list[Boot] = []
        self._subject = subject
        self._machine = machine
        self._results = results
        self._progress = progress

    def run(self, plan: Plan) -> Iterator[Result]:
        """Run a plan's checks: the first ones, with phones, and the first ones again."""
        with ExitStack() as recording:
            yield from self.first_boot(plan.first, recording)
            if not self.boots:
                why = "the machine did not boot"
                yield from missed(plan.with_phones, self._progress, part=WITH_PHONES, why=why)
            elif plan.with_phones:
                yield from self.with_phones(plan.with_phones)
            if plan.after_reboot:
                yield from self.after_reboot(plan.after_reboot)

    def first_boot(self, checks: Sequence[Check], recording: ExitStack) -> Iterator[Result]:
        """Boot, and run the checks; what cannot be looked at is an error.

        What goes through adapter 1 is recorded from the first moment, until ``recording``
        ends.
        """
        try:
            with self._progress.step("Boot"):
                self._machine.start()
                recording.enter_context(
                    self._machine.capture(NAT_ADAPTER, self._results.nat_capture)
                )
                self._machine.wait_for_login()
        except GuestError as error:
            yield from self._missed(checks, FIRST_BOOT, error)
            return
        yield from self._first_exam(checks, FIRST_BOOT)

    def with_phones(self, checks: Sequence[Check]) -> Iterator[Result]:
        """Use the appliance as a class does; what goes over the lab network is recorded."""
        with self._progress.step(f"Exam: {WITH_PHONES}"), self._lab_recorded():
            yield from run_together(self._subject, checks, self._progress, part=WITH_PHONES)

    def after_reboot(self, checks: Sequence[Check]) -> Iterator[Result]:
        """Reboot, and run the checks on the machine that must still be the same one."""
        try:
            with self._progress.step("Reboot"):
                # Of a machine that has ended, no restart would ever be seen.
                self._subject.act("true")
                known_as = identity(self._subject)
                self._machine.reboot()
        except GuestError as error:
            yield from self._missed(checks, REBOOT, error)
            return
        self._subject = dataclasses.replace(self._subject, known_as=known_as)
        yield from self._first_exam(checks, REBOOT)

    def _first_exam(self, checks: Sequence[Check], part: str) -> Iterator[Result]:
        self.boots.append(self._boot(part))
        with self._progress.step(f"Exam: {part}"):
            yield from run_exam(self._subject, checks, self._progress, part=part)

    def _boot(self, part: str) -> Boot:
        """How a boot went, once it is over; as much of it as can be seen."""
        screen, timeline = self._results.screen(part), ""
        with suppress(GuestError):
            settle(self._subject)
            timeline = self._subject.ask_one(TIMELINE_COMMAND)
        try:
            self._machine.screenshot(screen)
        except GuestError:
            return Boot(part, None, timeline)
        return Boot(part, screen, timeline)

    def _missed(self, checks: Sequence[Check], part: str, why: GuestError) -> Iterator[Result]:
        return missed(checks, self._progress, part=part, why=str(why))

    @contextmanager
    def _lab_recorded(self) -> Iterator[None]:
        """Record the lab network; a capture that is not whole spoils no exam."""
        phones = self._subject.phones
        if not isinstance(phones, LabPhones):
            yield
            return
        with ExitStack() as capture:
            try:
                capture.enter_context(phones.lan.capture(self._results.lab_capture))
            except CaptureError as error:
                self._progress.warn(str(error))
            yield
            try:
                capture.close()
            except CaptureError as error:
                self._progress.warn(str(error))
