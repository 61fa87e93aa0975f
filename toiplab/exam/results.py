"""What an exam leaves behind: its report, its results, and all that was recorded of it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from toiplab.exam import junit, record
from toiplab.exam.candidate import Candidate
from toiplab.exam.runner import Report, print_summary
from toiplab.progress import Progress
from toiplab.report import page
from toiplab.report.page import Boot, Exam


@dataclass(frozen=True)
class Results:
    """The folder of an exam's results."""

    folder: Path

    @property
    def page(self) -> Path:
        """The report."""
        return self.folder / "index.html"

    @property
    def junit(self) -> Path:
        """What each check found."""
        return self.folder / "junit.xml"

    @property
    def record(self) -> Path:
        """Which OVA it was, and how it ended."""
        return self.folder / "exam.json"

    @property
    def calls(self) -> Path:
        """What the phones of each check heard and said."""
        return self.folder / "calls"

    @property
    def lab_capture(self) -> Path:
        """What went over the lab network."""
        return self.folder / "lab.pcap"

    @property
    def nat_capture(self) -> Path:
        """What went through adapter 1."""
        return self.folder / "nat.pcap"

    @property
    def serial_log(self) -> Path:
        """What the machine said on its console."""
        return self.folder / "serial.log"

    def screen(self, part: str) -> Path:
        """The machine's screen after a boot."""
        return self.folder / f"{part.replace(' ', '-')}.png"

    def clear(self) -> None:
        """Remove what an exam before has left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.calls, ignore_errors=True)
        for kind in ("*.json", "*.html", "*.xml", "*.pcap", "*.log", "*.png"):
            for file in self.folder.glob(kind):
                file.unlink()

    def publish(
        self,
        candidate: Candidate,
        report: Report,
        progress: Progress,
        *,
        began: float,
        where: str,
        whole: bool = False,
        name: str = "",
        boots: tuple[Boot, ...] = (),
    ) -> None:
        """Write the report and the results, and print the summary.

        ``began`` is in seconds since 1970; ``where`` names what the machine ran on; ``whole``
        says that nothing was left out. A machine that was up already has a ``name``: it is
        not known to be the OVA's, and no record of an exam of the OVA is written.
        """
        junit.write(report, self.junit)  # first: the page leads to it
        exam = Exam(
            name=name or candidate.ova.path.name,
            ova=None if name else candidate.ova.path,
            lab=candidate.lab.title,
            release=f"Debian {candidate.manifest.debian} ({candidate.manifest.release})",
            accelerator=where,
            began=began,
            seconds=time.time() - began,
            report=report,
            pins=tuple(candidate.secrets.mailboxes.values()),
            captures=tuple(p for p in (self.lab_capture, self.nat_capture) if p.exists()),
            boots=boots,
            files=tuple(p for p in (self.junit, self.serial_log) if p.exists()),
            sha256="" if name else candidate.manifest.ova_sha256,
        )
        print_summary(report, progress)
        with progress.step("Write the report"):
            page.write(exam, self.page)
        if exam.ova:
            done = record.of(
                report,
                candidate=candidate,
                whole=whole,
                began=began,
                seconds=exam.seconds,
                accelerator=where,
                page=self.page,
                junit=self.junit,
            )
            record.write(done, self.record)
        progress.note(f"report: {self.page}")
