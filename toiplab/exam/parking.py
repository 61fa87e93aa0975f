"""Row A6: a call is parked, its slot is spoken, it is taken back, or comes back by itself."""

from __future__ import annotations

import re
import time

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
from toiplab.exam.prompts import prompt
from toiplab.exam.registry import CheckFailedError, Fact, agree
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Handset

KEY_SECONDS = 1.0  # "transfer" is spoken before the number can be dialled
SPOKEN_SECONDS = 15.0
TOLERANCE_SECONDS = 3.0  # of the time a call stays parked
RETURN_SECONDS = 15.0
PARKED = re.compile(r"^(\d+)\s+SIP/(\w+)-|Space\s*:\s*(\d+)", re.MULTILINE)


@phone_check("A6", "a parked call: its slot is spoken, music plays, another phone takes it back")
def taken_back(subject: Subject) -> str:
    """The called phone parks its caller; a phone of another pair takes the call."""
    (one, other), (third, _), *_ = pairs(subject, 2)
    phones = phones_of(subject)
    slot = str(subject.lab.parking.slots.first)
    spoken = [prompt(subject, f"digits/{digit}") for digit in dict.fromkeys(slot)]
    with (
        phones.phone(one.number, tone=TONES[0]) as caller,
        phones.phone(other.number, tone=TONES[1]) as parker,
        phones.phone(third.number, tone=TONES[2]) as taker,
    ):
        register((caller, parker, taker))
        connect(caller, parker)
        park(subject, parker)
        parker.wait_closed(SPOKEN_SECONDS)
        heard = parker.recording()
        agree(
            Fact(f"calls parked in {slot}", True, slot in _parked(subject)),
            *(
                Fact(f"{parker.number} hears {digit.name}", True, digit.heard_in(heard))
                for digit in spoken
            ),
        )
        hears_music(caller)
        taker.call(slot)
        taker.wait_established()
        told = hear_one_another(caller, taker)
        caller.hang_up()
        taker.wait_closed()
    return f"slot {slot} spoken, music heard; {told}"


@phone_check("A6", "a parked call that nobody takes comes back, when the lab says")
def comes_back(subject: Subject) -> str:
    """It rings again at the phone that parked it."""
    phones, (one, other) = phones_of(subject), pairs(subject)[0]
    wanted = subject.lab.parking.seconds
    with (
        phones.phone(one.number, tone=TONES[0]) as caller,
        phones.phone(other.number, tone=TONES[1]) as parker,
    ):
        register((caller, parker))
        connect(caller, parker)
        park(subject, parker)
        hears_music(caller, SPOKEN_SECONDS)
        parked = time.monotonic()
        parker.wait_closed(SPOKEN_SECONDS)
        seconds = parker.wait_for_call(wanted + RETURN_SECONDS) - parked
        if abs(seconds - wanted) > TOLERANCE_SECONDS:
            raise CheckFailedError(
                f"{parker.number}: expected the call back after {wanted} s, "
                f"it rang after {seconds:.1f} s"
            )
        parker.answer()
        told = hear_one_another(caller, parker)
        parker.hang_up()
        caller.wait_closed()
    return f"back after {seconds:.1f} s; {told}"


def park(subject: Subject, parker: Handset) -> None:
    """Transfer the other party of a call to the parking number."""
    transfer(parker, subject.lab.features.blind_transfer, subject.lab.parking.number)


def transfer(phone: Handset, key: str, number: str) -> None:
    """Press a transfer key, and then the number."""
    phone.press(key)
    phone.listen(KEY_SECONDS)
    phone.press(number)


def _parked(subject: Subject) -> str:
    """What Asterisk says is parked, at this moment."""
    return subject.act("asterisk -rx 'parking show default'").output.partition("Parked Calls")[2]


CHECKS = (taken_back, comes_back)
