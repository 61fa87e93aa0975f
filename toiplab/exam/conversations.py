"""Rows V4, A4 and A9: phones call each other, hear each other, and hear the lab's language."""

from __future__ import annotations

import time
from contextlib import suppress

from toiplab.exam.cast import Party, context_of
from toiplab.exam.handsets import connect, hear_one_another, switched_on
from toiplab.exam.places import NatPhones
from toiplab.exam.prompts import prompt, wait_for_prompt
from toiplab.exam.registry import CheckFailedError, NotHereError, check
from toiplab.exam.subject import Subject
from toiplab.lab.model import Extension
from toiplab.phones.handset import Handset, PhoneError, Phones

PAIR: Party = (2,)
STRANGERS: Party = (1, 1)
TOLERANCE_SECONDS = 2.0  # of the seconds a phone rings
GREETING = "vm-theperson"  # what voicemail says first
NOBODY = "pbx-invalid"  # what is said of a number that nobody has
PROMPT_SECONDS = 12.0
NOT_FOUND = "404 Not Found"


@check(
    "V4",
    "through the forwards: register, call, sound both ways, hang up on either side",
    takes=(PAIR,),
)
def through_forwards(subject: Subject) -> str:
    """As a softphone on the host does."""
    return _conversation(subject, NatPhones.of(subject))


@check("A4", "a call: ringing, answer, sound both ways, hang up on either side", takes=(PAIR,))
def conversation(subject: Subject) -> str:
    """Each calls the other, and the first hangs up: once who called, once who was called."""
    return _conversation(subject, None)


def _conversation(subject: Subject, phones: Phones | None) -> str:
    with switched_on(subject, phones) as (first, second):
        told = []
        for caller, called in ((first, second), (second, first)):
            connect(caller, called)
            told.append(hear_one_another(caller, called))
            first.hang_up()
            second.wait_closed()
            first.wait_closed()
    return "; ".join(told)


@check("A4", "nobody answers: after the lab's seconds it is voicemail, or over", takes=(PAIR,))
def unanswered(subject: Subject) -> str:
    """From the first ring to what the lab says follows."""
    _, context = context_of(subject.lab, subject.players[1].number)
    wanted = context.ring_seconds
    voicemail = context.unanswered == "voicemail"
    greeting = prompt(subject, GREETING) if voicemail else None
    with switched_on(subject) as (caller, called):
        caller.call(called.number)
        rung = called.wait_for_call()
        seconds = _end_of_ringing(caller, 2 * wanted, answered=voicemail) - rung
        if abs(seconds - wanted) > TOLERANCE_SECONDS:
            raise CheckFailedError(
                f"{called.number}: expected to ring for {wanted} s, rang for {seconds:.1f} s"
            )
        called.wait_closed()
        heard = wait_for_prompt(caller, greeting, PROMPT_SECONDS) if greeting else "it is over"
        caller.hang_up()
    return f"{called.number} rang for {seconds:.1f} s, then {heard}"


@check("A4", "phones of one context do not reach those of another", takes=(STRANGERS,))
def apart(subject: Subject) -> str:
    """Each calls the other, which must not ring."""
    with switched_on(subject) as (one, other):
        told = []
        for caller, called in ((one, other), (other, one)):
            caller.call(called.number)
            try:
                why = caller.wait_closed()
            finally:
                _check_it_did_not_ring(called, caller)
            told.append(f"{caller.number} calls {called.number}: {why}")
            if why != NOT_FOUND:
                raise CheckFailedError(f"expected {NOT_FOUND}, saw {told[-1]}")
    return "; ".join(told)


def _check_it_did_not_ring(called: Handset, caller: Handset) -> None:
    with suppress(PhoneError):
        called.wait_for_call(within=0)
        raise CheckFailedError(f"{called.number} rings when {caller.number} calls it")


@check("A9", "an unknown number is answered in the lab's language", takes=((1,),))
def spoken(subject: Subject) -> str:
    """The file that is heard is the language's own, and not the English one."""
    (player,) = subject.players
    wanted = prompt(subject, NOBODY)
    with switched_on(subject) as (caller,):
        caller.call(_nobody(subject, player))
        caller.wait_established()
        heard = wait_for_prompt(caller, wanted, PROMPT_SECONDS, own_language=True)
        caller.wait_closed()
    return f"{subject.lab.sip.language}: {heard}"


def _end_of_ringing(caller: Handset, within: float, *, answered: bool) -> float:
    """When somebody answered, or the call was given up (monotonic clock)."""
    if answered:
        return caller.wait_established(within)
    caller.wait_closed(within)
    return time.monotonic()


def _nobody(subject: Subject, player: Extension) -> str:
    """A number that the player may dial and nobody has.

    Raises:
        NotHereError: the context's patterns have none.
    """
    taken = {extension.number for extension in subject.lab.extensions}
    _, context = context_of(subject.lab, player.number)
    for extension in (player, *context.extensions):
        for digit in "9876543210":
            if (number := f"{extension.number[:-1]}{digit}") not in taken:
                return number
    raise NotHereError("every number of the context's patterns is a phone's")


CHECKS = (unanswered, conversation, through_forwards, spoken, apart)
