"""The page: an exam in one file that opens anywhere, with its words, pictures and sounds."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jinja2

from toiplab import files
from toiplab.errors import ToipLabError
from toiplab.exam.rows import ROWS, Part, Row
from toiplab.exam.runner import Outcome, Report, Result
from toiplab.report import boots, course, ladder, recordings
from toiplab.report.ladder import Ladder
from toiplab.report.recordings import Clip
from toiplab.report.timeline import Chart, Mark
from toiplab.report.traffic import Traffic, without_pins
from toiplab.wire import pcap
from toiplab.wire.pcap import Datagram

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "page.html.j2"
OUTCOMES = {  # a sign and a word, so that nobody needs to see a colour
    Outcome.PASS: ("✓", "passed"),
    Outcome.FAIL: ("✗", "failed"),
    Outcome.ERROR: ("!", "could not look"),
    Outcome.SKIP: ("○", "skipped"),
}


@dataclass(frozen=True)
class Boot:
    """A boot of the machine: its screen (a PNG file), and what ``TIMELINE_COMMAND`` printed.

    ``marks`` has what was seen from outside, such as the first answer by SIP.
    """

    part: str
    console: Path | None = None
    timeline: str = ""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Exam:
    """All that the page shows.

    ``name`` is the OVA's; of a machine that was up already, which has no ``ova``, it is the
    address. ``began`` is in seconds since 1970. ``captures`` are pcap files as they were
    written; ``files`` are linked to. Keys that make one of the ``pins`` are not shown.
    """

    name: str
    ova: Path | None
    lab: str
    release: str
    accelerator: str
    began: float
    seconds: float
    report: Report
    pins: tuple[str, ...]
    captures: tuple[Path, ...] = ()
    boots: tuple[Boot, ...] = ()
    files: tuple[Path, ...] = ()
    sha256: str = ""


@dataclass(frozen=True)
class Trouble:
    """Checks that went wrong together: after a machine's end, all others do."""

    outcome: Outcome
    part: str
    told: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Look:
    """A check in all parts of the exam."""

    title: str
    results: tuple[Result, ...]

    @property
    def told(self) -> dict[str, list[Result]]:
        """Its results by what they told: most are the same after every boot."""
        by_words: dict[str, list[Result]] = {}
        for result in self.results:
            by_words.setdefault(result.told, []).append(result)
        return by_words


@dataclass(frozen=True)
class RowSeen:
    """A row of the contract with the checks that prove it."""

    row: Row
    looks: tuple[Look, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst that happened."""
        return worst(result for look in self.looks for result in look.results)


@dataclass(frozen=True)
class Call:
    """A check with phones: its messages, and what the phones heard."""

    result: Result
    anchor: str
    ladder: Ladder | None
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class BootSeen:
    """A boot's pictures."""

    boot: Boot
    chart: Chart | None


def write(exam: Exam, path: Path) -> None:
    """Write the page, whole or not at all.

    A capture that cannot be read is named on the page: a failed exam needs one most.

    Raises:
        OSError: a picture cannot be read, or the page cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = _data
    environment.globals |= {"OUTCOMES": OUTCOMES, "Outcome": Outcome}
    datagrams, unread = _captured(exam)
    text = environment.get_template(PAGE).render(
        exam=exam,
        size=exam.ova.stat().st_size / 1e6 if exam.ova else 0,
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(exam.began)),
        duration=_duration(exam.seconds),
        counts={outcome: len(exam.report.of(outcome)) for outcome in Outcome},
        troubles=_troubles(exam.report),
        parts=_by_part(exam.report.results),
        course=course.chart(exam.report.results, exam.began),
        calls=_calls(exam, Traffic(datagrams)),
        unread=unread,
        boots=[_boot(boot) for boot in exam.boots],
        links=[(file.name, _link(file, path)) for file in exam.files if file.exists()],
        link=lambda file: _link(file, path),
    )
    files.write(path, text.encode(errors="replace"))


def worst(results: Iterable[Result]) -> Outcome:
    """The outcome that a reader must hear of first; skipped is what was not looked at at all."""
    seen = {result.outcome for result in results}
    order = (Outcome.FAIL, Outcome.ERROR, Outcome.PASS, Outcome.SKIP)
    return next(outcome for outcome in order if outcome in seen)


def _by_part(results: Iterable[Result]) -> list[tuple[Part, list[RowSeen]]]:
    """The rows that were looked at, by part of the course."""
    looks: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        looks.setdefault(result.check.row, {}).setdefault(result.check.title, []).append(result)
    rows = [
        RowSeen(row, tuple(Look(title, tuple(of)) for title, of in looks[row.name].items()))
        for row in ROWS
        if row.name in looks
    ]
    parts = [(part, [seen for seen in rows if seen.row.part is part]) for part in Part]
    return [(part, seen) for part, seen in parts if seen]


def _troubles(report: Report) -> list[Trouble]:
    """What failed, and then what could not be looked at."""
    together: dict[tuple[Outcome, str, str], list[Result]] = {}
    for result in (*report.of(Outcome.FAIL), *report.of(Outcome.ERROR)):
        together.setdefault((result.outcome, result.part, result.told), []).append(result)
    return [Trouble(*why, tuple(results)) for why, results in together.items()]


def _captured(exam: Exam) -> tuple[list[Datagram], list[str]]:
    """What went over the network, and why some captures do not tell."""
    datagrams: list[Datagram] = []
    unread = []
    for file in exam.captures:
        try:
            datagrams += pcap.read(file)
        except ToipLabError as error:
            unread.append(error.message)
    return datagrams, unread


def _calls(exam: Exam, traffic: Traffic) -> list[Call]:
    results = [
        result
        for result in exam.report.results
        if result.phones and result.outcome is not Outcome.SKIP
    ]
    heard = [recordings.find(result.folder, result.phones) for result in results]
    room = recordings.limit([one.recording.seconds for of in heard for one in of])
    calls = []
    for place, (result, of) in enumerate(zip(results, heard, strict=True), 1):
        arrows = traffic.arrows(result.began, result.began + result.seconds, result.phones)
        picture = ladder.draw(without_pins(arrows, exam.pins), result.began, result.phones)
        clips = tuple(recordings.clip(one, room) for one in of)
        calls.append(Call(result, f"call-{place}", picture, clips))
    return calls


def _boot(boot: Boot) -> BootSeen:
    read = boots.read(boot.timeline, boot.marks)
    return BootSeen(boot, read.chart() if read else None)


def _data(content: bytes | Path, kind: str) -> str:
    """A data: URI (RFC 2397)."""
    if isinstance(content, Path):
        content = content.read_bytes()
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _link(file: Path, page: Path) -> str:
    """Where a file is, seen from the page, which may be opened anywhere."""
    return quote(Path(os.path.relpath(file.resolve(), page.resolve().parent)).as_posix())


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
