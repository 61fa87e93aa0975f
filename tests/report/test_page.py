from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.report.conftest import BEGAN, a_call, a_folder
from tests.report.test_boots import told as timeline_text
from tests.report.test_boots import unit
from toiplab.exam.registry import Check
from toiplab.exam.runner import Outcome, Report, Result
from toiplab.report import page, png
from toiplab.report.page import Boot, Exam
from toiplab.report.timeline import Mark

VOID = {"meta", "img", "br", "input", "rect", "line", "path"}


class Reader(HTMLParser):
    """What a browser would load, link to and show."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids, self.words, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.loads += [attributes[name] for name in ("src", "srcset", "data") if name in attributes]
        if tag == "a":
            self.links.append(attributes["href"])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def look(subject):
    return ""


def result(row, title, told="", outcome=Outcome.PASS, part="first boot", **more):
    return Result(part, Check(row, title, look), outcome, told, 1.25, **more)


def an_exam(folder):
    (folder / "a.ova").write_bytes(bytes(2_000_000))
    (folder / "junit.xml").write_text("<testsuites/>")
    screen = folder / "console.png"
    screen.write_bytes(png.write(np.zeros((2, 2), np.uint8), [(0, 0, 0)]))
    results = (
        result("V1", "the OVF describes the machine", "1024 MB"),
        result("D4", "dhcpd is active", "active"),
        result("D4", "dhcpd is active", "active", part="after a reboot"),
        result("A2", "every phone registers", "4 <phones>; & more", Outcome.FAIL),
        result("A9", "the prompts", "the guest does not answer", Outcome.ERROR),
        result("D3", "a lease", "no lab network here", Outcome.SKIP),
        Result(
            "with phones",
            Check("A4", "a call", look),
            Outcome.PASS,
            "5001 hears 5002",
            9.0,
            began=BEGAN + 0.5,
            phones=("5001", "5002"),
            folder=a_folder(folder / "calls"),
        ),
    )
    return Exam(
        name="a.ova",
        ova=folder / "a.ova",
        lab="Laboratoire <ISI>",
        release="11.11",
        accelerator="TCG",
        began=BEGAN,
        seconds=125.4,
        report=Report(results),
        captures=(a_call().write(folder / "lab.pcap"),),
        boots=(
            Boot(
                "first boot",
                screen,
                timeline_text(unit("asterisk.service", 20000000, 29500000)),
                (Mark(29.9, "SIP answers"),),
            ),
            Boot("after a reboot", folder / "absent.png"),
        ),
        files=(folder / "junit.xml", folder / "absent.log"),
        sha256="ab" * 32,
        pins=("70",),
    )


@pytest.fixture
def exam(tmp_path):
    return an_exam(tmp_path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A page, written once for the tests that only read it."""
    folder = tmp_path_factory.mktemp("exam")
    path = folder / "report/index.html"
    page.write(an_exam(folder), path)
    return path


@pytest.fixture(scope="module")
def written(path):
    return Reader(path.read_text(encoding="utf-8"))


def test_it_needs_nothing_but_itself(written):
    assert written.loads
    assert all(load.startswith("data:") for load in written.loads)
    assert written.open == []


def test_its_head(written):
    for words in (
        "Laboratoire <ISI>",
        "a.ova",
        "2 MB",
        "11.11",
        "TCG",
        "2023-11-14 22:13 UTC",
        "2 min 5 s",
        "4 of 7 checks passed, 1 failed, 1 could not look, 1 skipped",
        "ab" * 32,
    ):
        assert words in written.text


def test_failures_come_first_and_whole(written):
    first = written.text.partition("A 64-bit Debian machine")[0]
    assert "4 <phones>; & more" in first
    assert "the guest does not answer" in first
    assert "What went wrong" in first
    assert "dhcpd is active" not in first


def test_parts_of_the_course_in_order(written):
    parts = ("The virtual machine", "DHCP", "Telephony")
    places = [written.ids.index(name) for name in ("machine", "dhcp", "telephony", "calls")]
    assert places == sorted(places)
    assert all(part in written.text for part in parts)
    assert "installation" not in written.ids


def test_what_is_the_same_after_every_boot_is_said_once(written):
    assert re.search(r"active ✓ first boot 1\.2 s ✓ after a reboot 1\.2 s", written.text)


def test_links_lead_to_files_that_are_there_and_to_parts_of_the_page(written, path):
    outside = [link for link in written.links if not link.startswith("#")]
    assert "../junit.xml" in outside
    assert all((path.parent / link).resolve().exists() for link in outside)
    assert all(link[1:] in written.ids for link in written.links if link.startswith("#"))


def test_a_call_has_its_messages_and_sounds_but_no_pin(written):
    for words in (
        "INVITE \N{MULTIPLICATION SIGN}2",
        "180 Ringing",
        "sound 2.0 s, PCMU, 101 packets",
        "5001 heard",
    ):
        assert words in written.text
    assert "1.50 BYE" not in written.text  # seconds count from when the check began
    assert "4.50 BYE" in written.text
    assert re.search(r"2\.00 • •|2\.00 • 5", written.text)


def test_boots(written):
    assert "SIP answers 29.9 s" in written.text
    assert "asterisk 9.5 s" in written.text
    assert sum(load.startswith("data:image/png") for load in written.loads) == 2


def test_a_capture_that_cannot_be_read_is_named(exam, tmp_path):
    exam.captures[0].write_bytes(b"nonsense")
    page.write(exam, tmp_path / "index.html")
    text = Reader((tmp_path / "index.html").read_text(encoding="utf-8")).text
    assert f"{exam.captures[0]}: not a capture that the report can read" in text
    assert "No message of these phones is in the captures." in text
    assert "5001 heard" in text


def test_a_page_that_cannot_be_made_leaves_the_former_one(exam, tmp_path):
    path = tmp_path / "report/index.html"
    page.write(exam, path)
    before = path.read_bytes()
    exam.boots[0].console.unlink()
    exam.boots[0].console.mkdir()
    with pytest.raises(IsADirectoryError):
        page.write(exam, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_what_went_wrong_for_one_reason_is_told_once(exam, tmp_path):
    why = "not looked at: the machine does not answer"
    lost = tuple(result(row, f"look at {row}", why, Outcome.ERROR) for row in ("N1", "N2", "N3"))
    page.write(dataclasses.replace(exam, report=Report(lost)), tmp_path / "index.html")
    text = Reader((tmp_path / "index.html").read_text(encoding="utf-8")).text
    first = text.partition("The lab card")[0]
    assert first.count(why) == 1
    assert all(f"look at {row}" in first for row in ("N1", "N2", "N3"))


def test_an_exam_that_never_began(tmp_path):
    exam = Exam("192.168.10.1", None, "lab", "11.11", "TCG", BEGAN, 3, Report(()), pins=())
    page.write(exam, tmp_path / "index.html")
    text = Reader((tmp_path / "index.html").read_text(encoding="utf-8")).text
    assert "0 of 0 checks passed" in text
    assert "Machine192.168.10.1" in text
