"""Rows V4 and A4: phones call each other, and hear each other."""

from __future__ import annotations

from contextlib import suppress

from toiplab.exam.handsets import (
    TONES,
    connect,
    hear_one_another,
    pairs,
    phone_check,
    phones_of,
    register,
)
from toiplab.exam.prompts import prompt, wait_for_prompt
from toiplab.exam.registry import CheckFailedError
from toiplab.exam.subject import Subject
from toiplab.phones.handset import PhoneError

TOLERANCE_SECONDS = 2.0  # of the seconds a phone rings
GREETING = "vm-theperson"  # what voicemail says first
GREETING_SECONDS = 10.0


@phone_check("V4", "through the forwards: register, call, sound both ways, hang up on either side")
def conversation(subject: Subject) -> str:
    """One calls and hangs up; then the other does."""
    phones, (one, other) = phones_of(subject), pairs(subject)[0]
    with (
        phones.phone(one.number, tone=TONES[0]) as first,
        phones.phone(other.number, tone=TONES[1]) as second,
    ):
        register((first, second))
        told = []
        for caller, called in ((first, second), (second, first)):
            connect(caller, called)
            told.append(hear_one_another(caller, called))
            caller.hang_up()
            called.wait_closed()
            caller.wait_closed()
    return "; ".join(told)


@phone_check("A4", "nobody answers: voicemail does, when the lab says, in the lab's language")
def unanswered(subject: Subject) -> str:
    """From the first ring to voicemail's answer."""
    phones, (one, other) = phones_of(subject), pairs(subject)[-1]
    wanted = next(c for c in subject.lab.contexts.values() if other in c.extensions).ring_seconds
    greeting = prompt(subject, GREETING)
    with (
        phones.phone(one.number, tone=TONES[0]) as caller,
        phones.phone(other.number, tone=TONES[1]) as called,
    ):
        register((caller, called))
        caller.call(called.number)
        rung = called.wait_for_call()
        seconds = caller.wait_established(2 * wanted) - rung
        if abs(seconds - wanted) > TOLERANCE_SECONDS:
            raise CheckFailedError(
                f"{called.number}: expected to ring for {wanted} s, rang for {seconds:.1f} s"
            )
        called.wait_closed()
        heard = wait_for_prompt(caller, greeting, GREETING_SECONDS)
        caller.hang_up()
    return f"{called.number} rang for {seconds:.1f} s, then {heard}"


@phone_check("A4", "phones of one context do not reach those of another")
def apart(subject: Subject) -> str:
    """A phone of the first context calls one of the second, which must not ring."""
    (other, _), (one, _), *_ = pairs(subject, 2)
    phones = phones_of(subject)
    with (
        phones.phone(one.number, tone=TONES[0]) as caller,
        phones.phone(other.number, tone=TONES[1]) as called,
    ):
        register((caller, called))
        caller.call(called.number)
        refusal = caller.wait_closed(within=20)
        with suppress(PhoneError):
            called.wait_for_call(within=0)
            raise CheckFailedError(f"{called.number} rings when {caller.number} calls it")
    return f"{one.number} calls {other.number}: {refusal}"


CHECKS = (conversation, unanswered, apart)
