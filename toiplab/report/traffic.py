"""What captures say of a call: who sent which message, which sound, and which keys, when."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto

from toiplab.wire import rtp, sip
from toiplab.wire.pcap import Datagram, Endpoint

SERVER = "Asterisk"
PAUSE_SECONDS = 1.0  # silence after which a stream is another one
KEY_PACKETS_SECONDS = 5.0  # one key press has one timestamp, for no longer than this


class Kind(StrEnum):
    """What an arrow of a ladder stands for."""

    REQUEST = auto()
    ANSWER = auto()
    REFUSAL = auto()
    SOUND = auto()
    KEY = auto()


@dataclass(frozen=True)
class Arrow:
    """Something that went from one to another: numbers of phones, or ``SERVER``.

    It began at ``at`` and ended at ``until`` (seconds since 1970, the same for a message),
    was sent ``times`` times, or in that many packets; ``detail`` tells more than ``label``.
    """

    at: float
    source: str
    target: str
    kind: Kind
    label: str
    until: float
    times: int = 1
    detail: str = ""

    @property
    def phone(self) -> str:
        """The end that is not the server."""
        return self.target if self.source == SERVER else self.source


@dataclass
class Directory:
    """Whose an endpoint is: the number learnt last before a moment."""

    known: dict[Endpoint, list[tuple[float, str]]] = field(default_factory=dict)

    def learn(self, at: float, endpoint: Endpoint, number: str) -> None:
        """From then on it is that number's. Moments come in their order."""
        entries = self.known.setdefault(endpoint, [])
        if not entries or entries[-1][1] != number:
            entries.append((at, number))

    def who(self, at: float, endpoint: Endpoint) -> str | None:
        """Its number at that moment."""
        entries = self.known.get(endpoint, ())
        place = bisect.bisect_right(entries, at, key=lambda entry: entry[0])
        return entries[place - 1][1] if place else None


class Traffic:
    """Everything in some captures that is SIP or RTP between phones and the server.

    A phone is known by the REGISTER requests it sends, wherever it stands; one that sends
    none, by the first request. Its sound is known by the ports that SDP names.
    """

    def __init__(self, datagrams: Iterable[Datagram]) -> None:
        self._messages: list[tuple[Datagram, sip.Message]] = []
        self._packets: list[tuple[Datagram, rtp.Packet]] = []
        for datagram in sorted(datagrams, key=lambda datagram: datagram.at):
            if message := sip.parse(datagram.payload):
                self._messages.append((datagram, message))
            elif packet := rtp.parse(datagram.payload):
                self._packets.append((datagram, packet))
        self._servers = {
            datagram.target.address
            for datagram, message in self._messages
            if message.method == "REGISTER" and not message.status
        }
        self._phones, self._media = Directory(), Directory()
        self._formats: dict[Endpoint, dict[int, str]] = {}
        self._video: set[Endpoint] = set()
        for datagram, message in self._messages:
            self._learn(datagram, message)

    def arrows(self, began: float, ended: float, numbers: Iterable[str]) -> list[Arrow]:
        """What went from and to those phones between two moments, in the order it began."""
        wanted = frozenset(numbers)
        found = [
            *self._sent(began, ended, wanted),
            *self._heard(began, ended, wanted),
        ]
        return sorted(found, key=lambda arrow: arrow.at)

    def _learn(self, datagram: Datagram, message: sip.Message) -> None:
        """Take from a message who its phone is, and where its sound goes."""
        leaves = datagram.source.address in self._servers
        phone, server = datagram.source, datagram.target
        if leaves:
            phone, server = server, phone
        elif not message.status and (
            message.method == "REGISTER" or self._phones.who(datagram.at, phone) is None
        ):
            self._phones.learn(datagram.at, phone, message.caller)
        number = self._phones.who(datagram.at, phone)
        for medium in message.media:
            # Behind NAT the address in an SDP is not where its packets come from; the port is.
            ours = Endpoint(datagram.source.address, medium.port)
            if number and medium.port:
                self._media.learn(datagram.at, ours, number)
                self._formats.setdefault(ours, {}).update(medium.formats)
                if medium.kind == "video":
                    self._video.add(ours)

    def _between(
        self, datagram: Datagram, directory: Directory, numbers: frozenset[str]
    ) -> tuple[str, str] | None:
        """Who sent it to whom, if one of them is a wanted phone and the other the server."""
        answers = datagram.source.address in self._servers
        if not answers and datagram.target.address not in self._servers:
            return None
        phone, server = datagram.source, datagram.target
        if answers:
            phone, server = server, phone
        number = directory.who(datagram.at, phone) or directory.who(datagram.at, server)
        if number is None or number not in numbers:
            return None
        return (SERVER, number) if answers else (number, SERVER)

    def _sent(self, began: float, ended: float, numbers: frozenset[str]) -> Iterator[Arrow]:
        """The messages, each once however often it was sent."""
        sent: dict[tuple[tuple[str, str], sip.Message], list[float]] = {}
        for datagram, message in self._messages:
            if began <= datagram.at <= ended and (
                ends := self._between(datagram, self._phones, numbers)
            ):
                sent.setdefault((ends, message), []).append(datagram.at)
        for ((source, target), message), times in sent.items():
            yield Arrow(
                at=times[0],
                source=source,
                target=target,
                kind=_kind(message),
                label=f"{message} ({message.method})" if message.status else message.method,
                until=times[0],
                times=len(times),
                detail=f"{message.caller} → {message.called}, CSeq {message.sequence} "
                f"{message.method}, Call-ID {message.call}",
            )

    def _heard(self, began: float, ended: float, numbers: frozenset[str]) -> Iterator[Arrow]:
        """The streams of sound, each one arrow, and the keys pressed meanwhile."""
        first = bisect.bisect_left(self._packets, began, key=lambda pair: pair[0].at)
        streams: dict[tuple[tuple[str, str, str, str], Endpoint, Endpoint], list[float]] = {}
        pressed: dict[tuple[str, str, int], float] = {}
        for datagram, packet in self._packets[first:]:
            if datagram.at > ended:
                break
            if not (ends := self._between(datagram, self._media, numbers)):
                continue
            name = self._format(datagram, packet.type)
            if name == rtp.KEY_EVENTS:
                press, key = (*ends, packet.timestamp), rtp.key(packet)
                last = pressed.get(press, float("-inf"))
                if key and datagram.at - last > KEY_PACKETS_SECONDS:
                    pressed[press] = datagram.at
                    yield Arrow(datagram.at, *ends, Kind.KEY, key, datagram.at)
                continue
            seen = not self._video.isdisjoint((datagram.source, datagram.target))
            stream = (*ends, "video" if seen else "sound", name)
            times = streams.setdefault((stream, datagram.source, datagram.target), [])
            if times and datagram.at - times[-1] > PAUSE_SECONDS:
                yield _stream(*stream, times)
                times.clear()
            times.append(datagram.at)
        for (stream, _, _), times in streams.items():
            yield _stream(*stream, times)

    def _format(self, datagram: Datagram, payload_type: int) -> str:
        """What a payload type means, by the SDP of the one who asked to be sent it."""
        for end in (datagram.target, datagram.source):
            if name := self._formats.get(end, {}).get(payload_type):
                return name
        return sip.STATIC_FORMATS.get(payload_type, f"type {payload_type}")


def _kind(message: sip.Message) -> Kind:
    if not message.status:
        return Kind.REQUEST
    return Kind.REFUSAL if message.refuses else Kind.ANSWER


def _stream(source: str, target: str, what: str, name: str, times: list[float]) -> Arrow:
    seconds = times[-1] - times[0]
    packets = f"{len(times)} packet{'s' if len(times) > 1 else ''}"
    return Arrow(
        at=times[0],
        source=source,
        target=target,
        kind=Kind.SOUND,
        label=f"{what} {seconds:.1f} s, {name}, {packets}",
        until=times[-1],
        times=len(times),
    )


def without_pins(arrows: Iterable[Arrow], pins: Iterable[str]) -> list[Arrow]:
    """The same, but keys that together are a mailbox's PIN cannot be read."""
    shown = list(arrows)
    hidden = [re.compile(re.escape(pin)) for pin in pins if pin]
    for way in {(arrow.source, arrow.target) for arrow in shown}:
        keys = [
            place
            for place, arrow in enumerate(shown)
            if arrow.kind is Kind.KEY and (arrow.source, arrow.target) == way
        ]
        pressed = "".join(shown[place].label for place in keys)
        for match in (match for pin in hidden for match in pin.finditer(pressed)):
            for place in keys[slice(*match.span())]:
                shown[place] = replace(shown[place], label="•")
    return shown
