"""What Asterisk's console prints, read into values; no command is run here."""

from __future__ import annotations

import re
from dataclasses import dataclass

SETTING = re.compile(r"^[ \t]*(?:\* )?([^:\n]+?)[ \t]*:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
PEER = re.compile(r"^(\S+?)(?:/\S*)?\s+(?:\(Unspecified\)|[0-9a-f.:]+)\s", re.MULTILINE)
MAILBOX = re.compile(r"^(\S+)\s+(\S+)\s+(.+?)\s+(\S+)\s+\d+$", re.MULTILINE)
MODULE = re.compile(r"^(\w+\.so)\s.*?\s(Not Running|Running)\s", re.MULTILINE)
STEP = re.compile(
    r"^(?:  '(?P<exten>[^']+)' =>)?\s*(?:\[(?P<label>\w+)\])?\s*"
    r"(?:(?P<priority>\d+)\. |(?P<hint>hint): )(?P<what>.*?)\s+\[[\w.:/]+\]$",
    re.MULTILINE,
)
INCLUDE = re.compile(r"^  (?:Include|Alt\. Switch) =>\s+'([^']+)'", re.MULTILINE)
DIAL = re.compile(r"Dial\(SIP/\$\{EXTEN\},(\d+)(?:,(\w*))?\)")


def settings(output: str) -> dict[str, str]:
    """The lines ``Label: value`` of ``sip show settings``, ``sip show peer``, ``parking show``."""
    return dict(SETTING.findall(output))


def codecs(shown: str) -> tuple[str, ...]:
    """A list of codecs as chan_sip shows it: ``(ulaw|h264)``."""
    return tuple(codec for codec in shown.strip("()").split("|") if codec)


def peers(output: str) -> frozenset[str]:
    """The names in ``sip show peers``."""
    return frozenset(PEER.findall(output))


@dataclass(frozen=True, order=True)
class Mailbox:
    """A line of ``voicemail show users``."""

    context: str
    number: str
    name: str


def mailboxes(output: str) -> frozenset[Mailbox]:
    """The mailboxes of ``voicemail show users``."""
    return frozenset(Mailbox(*found[:3]) for found in MAILBOX.findall(output))


def features(output: str) -> dict[str, str]:
    """Each built-in feature of ``features show`` with its current key; empty when it has none."""
    header = re.search(r"^Builtin Feature +Default +Current", output, re.MULTILINE)
    column = header[0].index("Current") if header else 0
    rows = (line for line in output.splitlines() if len(line) >= column)
    return {row[:24].strip(): row[column:].strip() for row in rows if row[:24].strip()}


def modules(output: str) -> dict[str, bool]:
    """Each module of ``module show like``, and whether it is running."""
    return {name: status == "Running" for name, status in MODULE.findall(output)}


def music(output: str) -> frozenset[str]:
    """The files of ``moh show files``, without their suffix as Asterisk names them."""
    return frozenset(re.findall(r"^\s*File: (\S+)$", output, re.MULTILINE))


@dataclass(frozen=True)
class Extension:
    """An extension of a context: its applications in order, and its hint."""

    pattern: str
    steps: tuple[str, ...]
    hint: str = ""

    @property
    def dial(self) -> tuple[int, str] | None:
        """How long Dial rings, in seconds, and its options; None if it dials no SIP phone."""
        for step in self.steps:
            if found := DIAL.fullmatch(step):
                return int(found[1]), found[2] or ""
        return None

    def before_dial(self) -> tuple[str, ...]:
        """What runs before Dial; every step if it dials no SIP phone."""
        dials = (index for index, step in enumerate(self.steps) if DIAL.fullmatch(step))
        return self.steps[: next(dials, None)]

    def after_dial(self) -> str:
        """What follows an unanswered Dial."""
        dialled = False
        for step in self.steps:
            if dialled:
                return step
            dialled = bool(DIAL.fullmatch(step))
        return ""

    def matches(self, number: str) -> bool:
        """Whether a dialled number reaches it, by Asterisk's patterns of digits and X, Z, N."""
        if not self.pattern.startswith("_"):
            return self.pattern == number
        classes = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "!": ".*"}
        regex = "".join(classes.get(sign.upper(), re.escape(sign)) for sign in self.pattern[1:])
        return re.fullmatch(regex, number) is not None


@dataclass(frozen=True)
class Context:
    """A context of ``dialplan show``: its own extensions, and what it includes."""

    extensions: tuple[Extension, ...]
    includes: frozenset[str]

    def hint(self, number: str) -> str:
        """The device whose state a phone may watch under this number."""
        return next((e.hint for e in self.extensions if e.pattern == number and e.hint), "")

    def reaches(self, number: str) -> Extension | None:
        """The extension a dialled number runs: an exact one, else the first pattern."""
        found = [e for e in self.extensions if e.steps and e.matches(number)]
        exact = [e for e in found if e.pattern == number]
        return next(iter(exact + found), None)


def dialplan(output: str) -> Context:
    """The context that ``dialplan show NAME`` shows."""
    steps: dict[str, list[str]] = {}
    hints: dict[str, str] = {}
    current = ""
    for found in STEP.finditer(output):
        current = found["exten"] or current
        steps.setdefault(current, [])
        if found["hint"]:
            hints[current] = found["what"]
        else:
            steps[current].append(found["what"])
    return Context(
        tuple(Extension(name, tuple(done), hints.get(name, "")) for name, done in steps.items()),
        frozenset(INCLUDE.findall(output)),
    )


def cdr_backends(output: str) -> frozenset[str]:
    """The backends of ``cdr show status`` that are at work; a suspended one is left out."""
    listed = output.partition("* Registered Backends")[2].splitlines()
    return frozenset(
        line.strip().lower()
        for line in listed
        if line.strip() and set(line.strip()) != {"-"} and "(suspended)" not in line
    )
