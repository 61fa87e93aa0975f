"""SIP messages as a capture holds them (RFC 3261 section 7), and what they agree on (RFC 8866)."""

from __future__ import annotations

import re
from dataclasses import dataclass

REQUEST = re.compile(r"([A-Z]+) sips?:\S+ SIP/2\.0")
STATUS = re.compile(r"SIP/2\.0 (\d{3}) ?(.*)")
USER = re.compile(r"sips?:([^@;>]+)@")
BRANCH = re.compile(r"branch=([^;,\s]+)")
LONG_NAMES = {"i": "call-id", "f": "from", "t": "to", "v": "via"}  # RFC 3261 section 7.3.3
MEDIUM = re.compile(r"m=(\w+) (\d+) \S+ ([\d ]+)")
FORMAT = re.compile(r"a=rtpmap:(\d+) ([\w-]+)/")
STATIC_FORMATS = {0: "PCMU", 3: "GSM", 8: "PCMA", 9: "G722"}  # RFC 3551 section 6
CHALLENGES = (401, 407)  # the phone is asked for its secret, no more
FIRST_REFUSAL = 300


@dataclass(frozen=True)
class Medium:
    """A medium of an SDP: its port, 0 if it was refused, and its payload types with their names."""

    kind: str
    port: int
    formats: tuple[tuple[int, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The formats' names."""
        return tuple(name for _, name in self.formats)


@dataclass(frozen=True)
class Message:
    """A request, whose ``status`` is 0, or an answer to one; ``method`` is CSeq's."""

    method: str
    status: int
    reason: str
    sequence: str
    call: str
    branch: str
    caller: str
    called: str
    media: tuple[Medium, ...]

    @property
    def refuses(self) -> bool:
        """Whether it is an answer that says no."""
        return self.status >= FIRST_REFUSAL and self.status not in CHALLENGES

    def __str__(self) -> str:
        """What a ladder shows."""
        return f"{self.status} {self.reason}" if self.status else self.method


def parse(payload: bytes) -> Message | None:
    """The message in a datagram; None if it holds something else."""
    if b"SIP/2.0" not in payload[:200].partition(b"\r\n")[0]:
        return None
    head, _, body = payload.decode(errors="replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    request, status = REQUEST.fullmatch(first), STATUS.fullmatch(first)
    if request is None and status is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        headers.setdefault(LONG_NAMES.get(name, name), value.strip())
    sequence, _, method = headers.get("cseq", "").partition(" ")
    return Message(
        method=request[1] if request else method.strip(),
        status=int(status[1]) if status else 0,
        reason=status[2] if status else "",
        sequence=sequence,
        call=headers.get("call-id", ""),
        branch=_found(BRANCH, headers.get("via", "")),
        caller=_found(USER, headers.get("from", "")),
        called=_found(USER, headers.get("to", "")),
        media=tuple(media_of(body)),
    )


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def media_of(body: str) -> list[Medium]:
    """The media of an SDP (RFC 8866 section 5.14), with the names of their formats."""
    names = STATIC_FORMATS | {int(number): name for number, name in FORMAT.findall(body)}
    return [
        Medium(kind, int(port), tuple((n, names.get(n, str(n))) for n in map(int, types.split())))
        for kind, port, types in MEDIUM.findall(body)
    ]
