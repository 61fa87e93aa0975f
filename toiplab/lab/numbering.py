"""The numbering plan: which numbers hide which (rows A3 to A7).

Asterisk searches a context's own extensions before the contexts it includes, so a
number that exists twice is answered by the first and the second is dead. Such a plan
is refused here, with the reason, instead of being found out in class.
"""

from __future__ import annotations

from collections.abc import Iterator

from toiplab.lab.model import Lab
from toiplab.lab.types import SlotRange

Place = tuple[str | int, ...]

# Sections with a meaning of their own in sip.conf, extensions.conf or voicemail.conf.
RESERVED_CONTEXTS = (
    "general",
    "globals",
    "default",
    "public",
    "parkedcalls",
    "authentication",
    "zonemessages",
)


def dial_pattern(number: str) -> str:
    """The dialplan pattern of a number's block of ten: ``5001`` gives ``_500X``."""
    return f"_{number[:-1]}X"


def dial_patterns(numbers: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns that cover these numbers, each once, in order."""
    return tuple(dict.fromkeys(dial_pattern(number) for number in numbers))


def covers(pattern: str, number: str) -> bool:
    """Whether a pattern made by ``dial_pattern`` matches a number."""
    return len(pattern) - 1 == len(number) and number.startswith(pattern[1:-1])


def _meets(pattern: str, slots: SlotRange) -> bool:
    """Whether a block of ten and a range of slots have a number in common."""
    lowest, highest = pattern[1:-1] + "0", pattern[1:-1] + "9"
    return len(lowest) == len(slots.first) and lowest <= slots.last and slots.first <= highest


def conflicts(lab: Lab) -> Iterator[tuple[Place, str]]:
    """Each fault of the plan: its place in the lab file, and what is wrong."""
    seen: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, context in lab.contexts.items():
        if name.lower() in RESERVED_CONTEXTS:
            yield ("contexts", name), f"{name} is a name Asterisk keeps for itself: choose another"
        other = names.setdefault(name.lower(), name)
        if other != name:
            yield (
                ("contexts", name),
                f"{name} differs from {other} by capitals alone, which Asterisk does not tell "
                "apart: choose another",
            )
        for index, extension in enumerate(context.extensions):
            place = ("contexts", name, "extensions", index, "number")
            number = extension.number
            if number in seen:
                yield place, f"{number} is already an extension of {seen[number]}"
            seen[number] = name
            yield from ((place, fault) for fault in _hidden_by(lab, number))
    yield from _parking(lab)
    yield from _features(lab)


def _hidden_by(lab: Lab, number: str) -> Iterator[str]:
    pattern = dial_pattern(number)
    if covers(pattern, lab.voicemail.number):
        yield (
            f"{number} is in the block {pattern} of the voicemail number {lab.voicemail.number}: "
            "give one of them another block of ten"
        )
    slots = lab.parking.slots
    if covers(pattern, lab.parking.number) or _meets(pattern, slots):
        yield (
            f"{number} is in the block {pattern} of parking ({lab.parking.number}, slots "
            f"{slots}), which it would hide: choose another block of ten"
        )


def _parking(lab: Lab) -> Iterator[tuple[Place, str]]:
    slots, parking, voicemail = lab.parking.slots, lab.parking.number, lab.voicemail.number
    if voicemail in slots:
        yield (
            ("parking", "slots"),
            f"slot {voicemail} would be hidden behind the voicemail number {voicemail}: "
            f"a call parked there could never be taken back; start the slots after it",
        )
    if parking in slots:
        yield (
            ("parking", "slots"),
            f"{slots} holds the parking number {parking} itself",
        )
    if parking == voicemail:
        yield (
            ("parking", "number"),
            f"{parking} is the voicemail number already: choose another",
        )


def _features(lab: Lab) -> Iterator[tuple[Place, str]]:
    blind, attended = lab.features.blind_transfer, lab.features.attended_transfer
    place = ("features", "attended_transfer")
    if attended == blind:
        yield place, f"{attended} is the key of blind_transfer already: choose another"
    elif attended.startswith(blind) or blind.startswith(attended):
        short, long = sorted((blind, attended), key=len)
        yield place, f"{long} begins with {short}, the other key, which would always answer first"
