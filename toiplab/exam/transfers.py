"""Row A8: the transfer keys, pressed during calls, and who hears whom in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toiplab.exam.cast import Party
from toiplab.exam.handsets import connect, hear_one_another, hears_music, needs_keys, switched_on
from toiplab.exam.parking import park, transfer
from toiplab.exam.registry import check
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Handset

# A context may hold no more than two phones; see ``three_parties``.
PARTIES: tuple[Party, ...] = ((3,), (2, 2))
END_SECONDS = 15.0


@check(
    "A8",
    "blind transfer: the third phone rings, the first two are rid of each other",
    takes=PARTIES,
)
def blind(subject: Subject) -> str:
    """The one who was called transfers, and is hung up; the two others hear each other."""
    with three_parties(subject, by_caller=False) as (caller, middle, third):
        transfer(middle, subject.lab.features.blind_transfer, third.number)
        third.wait_for_call()
        third.answer()
        middle.wait_closed(END_SECONDS)
        told = hear_one_another(caller, third)
        caller.hang_up()
        third.wait_closed()
    return f"{middle.number} is out; {told}"


@check(
    "A8",
    "attended transfer: first they talk, then the one who transfers hangs up",
    takes=PARTIES,
)
def attended(subject: Subject) -> str:
    """The one who called transfers: while these two talk, the other hears music."""
    with three_parties(subject, by_caller=True) as (other, middle, third):
        transfer(middle, subject.lab.features.attended_transfer, third.number)
        third.wait_for_call()
        third.answer()
        asked = hear_one_another(middle, third)
        hears_music(other)
        middle.hang_up()
        middle.wait_closed(END_SECONDS)
        told = hear_one_another(other, third)
        third.hang_up()
        other.wait_closed()
    return f"first {asked}; then {told}"


@contextmanager
def three_parties(
    subject: Subject, *, by_caller: bool
) -> Iterator[tuple[Handset, Handset, Handset]]:
    """A call between the first two, in which the second may transfer to the third.

    The second is the one who called, or who was called. Where no context has three phones,
    parking leads from one context to the other: a call between the first pair is parked, and
    taken by a phone of the second pair, which is then the one who transfers.
    """
    needs_keys(subject)
    with switched_on(subject) as handsets:
        match handsets:
            case first, second, third if by_caller:
                other, middle = second, first
                connect(middle, other)
            case other, middle, third:
                connect(other, middle)
            case other, parker, middle, third:
                connect(other, parker)
                middle.call(park(subject, parker, other))
                middle.wait_established()
        hear_one_another(other, middle)
        yield other, middle, third


CHECKS = (attended, blind)
