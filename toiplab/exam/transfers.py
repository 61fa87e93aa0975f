"""Row A8: the transfer keys, pressed during calls, and who hears whom in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from toiplab.exam.handsets import (
    TONES,
    connect,
    hear_one_another,
    hears_music,
    pairs,
    phone_check,
    phones_of,
    register,
)
from toiplab.exam.parking import SPOKEN_SECONDS, park, transfer
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Handset

END_SECONDS = 15.0


@phone_check("A8", "blind transfer: the third phone rings, the first two are rid of each other")
def blind(subject: Subject) -> str:
    """The one who transfers is hung up; the two others hear each other."""
    with three_parties(subject) as (caller, middle, third):
        transfer(middle, subject.lab.features.blind_transfer, third.number)
        third.wait_for_call()
        third.answer()
        middle.wait_closed(END_SECONDS)
        told = hear_one_another(caller, third)
        caller.hang_up()
        third.wait_closed()
    return f"{middle.number} is out; {told}"


@phone_check("A8", "attended transfer: first they talk, then the one who transfers hangs up")
def attended(subject: Subject) -> str:
    """While the two talk, the caller hears music; then the others hear each other."""
    with three_parties(subject) as (caller, middle, third):
        transfer(middle, subject.lab.features.attended_transfer, third.number)
        third.wait_for_call()
        third.answer()
        asked = hear_one_another(middle, third)
        hears_music(caller)
        middle.hang_up()
        middle.wait_closed(END_SECONDS)
        told = hear_one_another(caller, third)
        third.hang_up()
        caller.wait_closed()
    return f"first {asked}; then {told}"


@contextmanager
def three_parties(subject: Subject) -> Iterator[tuple[Handset, Handset, Handset]]:
    """A call between the first two, in which the second may transfer to the third.

    Contexts may hold no more than two phones. Parking leads from one to the other: a call
    between the first pair is parked, and taken by a phone of the second pair.
    """
    (one, other), (middle, third), *_ = pairs(subject, 2)
    phones = phones_of(subject)
    with ExitStack() as stack:
        caller, parker, taker, last = (
            stack.enter_context(phones.phone(extension.number, tone=tone))
            for extension, tone in zip((one, other, middle, third), TONES, strict=True)
        )
        register((caller, parker, taker, last))
        connect(caller, parker)
        park(subject, parker)
        parker.wait_closed(SPOKEN_SECONDS)
        taker.call(str(subject.lab.parking.slots.first))
        taker.wait_established()
        hear_one_another(caller, taker)
        yield caller, taker, last


CHECKS = (blind, attended)
