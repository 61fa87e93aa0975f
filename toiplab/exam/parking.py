"""Rows A6 and A10: a call is parked, hears music, is taken back, or comes back by itself."""

from __future__ import annotations

import re
import time

from toiplab.exam.handsets import connect, hear_one_another, hears_music, needs_keys, switched_on
from toiplab.exam.prompts import Alike, hold_music, prompt, wait_for_music, wait_for_prompt
from toiplab.exam.registry import CheckFailedError, Fact, NotHereError, agree, check
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Handset

KEY_SECONDS = 1.0  # "transfer" is spoken before the number can be dialled
SPOKEN_SECONDS = 15.0
HEARD_SECONDS = 2.0  # by then, all that was heard is in the recording
TOLERANCE_SECONDS = 3.0  # of the time a call stays parked
RETURN_SECONDS = 15.0
LONGEST_SECONDS = 120
PARKED = re.compile(r"Space\s*:\s*(\d+)\s+Channel\s*:\s*SIP/(\w+)-")


@check(
    "A6",
    "a parked call: its slot is spoken, music plays, another phone takes it back",
    takes=((3,), (2, 1)),
)
def taken_back(subject: Subject) -> str:
    """The called phone parks its caller; a third phone takes the call."""
    needs_keys(subject)
    with switched_on(subject) as (caller, parker, taker):
        connect(caller, parker)
        slot = park(subject, parker, caller)
        hears_music(caller)
        taker.call(slot)
        taker.wait_established()
        told = hear_one_another(caller, taker)
        caller.hang_up()
        taker.wait_closed()
        # Only now: to look for what was spoken may take as long as a call stays parked.
        _hears_digits(subject, parker, slot)
    return f"slot {slot} spoken, music heard; {told}"


@check("A6", "a parked call that nobody takes comes back, when the lab says", takes=((2,),))
def comes_back(subject: Subject) -> str:
    """It rings again at the phone that parked it."""
    wanted = subject.lab.parking.seconds
    if wanted > LONGEST_SECONDS:
        raise NotHereError(f"calls stay parked for {wanted} s, longer than an exam waits")
    needs_keys(subject)
    with switched_on(subject) as (caller, parker):
        connect(caller, parker)
        transfer(parker, subject.lab.features.blind_transfer, subject.lab.parking.number)
        parked = time.monotonic()
        hears_music(caller, SPOKEN_SECONDS)
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


@check("A10", "the music on hold that is heard is the MP3 of the appliance", takes=((1,),))
def music_on_hold(subject: Subject) -> str:
    """A phone parks itself, and listens."""
    opening = hold_music(subject)
    with switched_on(subject) as (caller,):
        caller.call(subject.lab.parking.number)
        caller.wait_established()
        told = wait_for_music(caller, opening, SPOKEN_SECONDS)
        caller.hang_up()
        caller.wait_closed()
    return told


def _hears_digits(subject: Subject, phone: Handset, slot: str) -> None:
    """Check that a slot's digits were spoken, in whichever language, one after the other."""
    digits = {digit: prompt(subject, f"digits/{digit}") for digit in dict.fromkeys(slot)}
    for spoken in digits.values():
        wait_for_prompt(phone, spoken, HEARD_SECONDS)
    heard = phone.recording()
    once = [digit for digit in digits if slot.count(digit) == 1]  # of others, which is unknown
    order = sorted(once, key=lambda digit: Alike.where(heard, digits[digit]))
    agree(Fact(f"digits {phone.number} hears once", once, order))


def park(subject: Subject, parker: Handset, caller: Handset) -> str:
    """Transfer the other party of a call to the parking number; the slot it is in.

    Raises:
        CheckFailedError: it is in none, by what Asterisk says.
    """
    transfer(parker, subject.lab.features.blind_transfer, subject.lab.parking.number)
    parker.wait_closed(SPOKEN_SECONDS)
    shown = subject.act("asterisk -rx 'parking show default'").output
    slots: dict[str, str] = {number: slot for slot, number in PARKED.findall(shown)}
    if caller.number not in slots:
        raise CheckFailedError(f"expected {caller.number} to be parked, saw {slots or 'nobody'}")
    return slots[caller.number]


def transfer(phone: Handset, key: str, number: str) -> None:
    """Press a transfer key, and then the number."""
    phone.press(key)
    phone.listen(KEY_SECONDS)
    phone.press(number)
