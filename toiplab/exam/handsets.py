"""The phones of an exam: who plays which part, and what they must hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from toiplab.errors import ToipLabError
from toiplab.exam.registry import Check, CheckFailedError, Look, check
from toiplab.exam.ssh import LOOPBACK
from toiplab.exam.subject import Subject
from toiplab.lab.model import Extension
from toiplab.lab.secrets import Secrets
from toiplab.machine.waiting import Deadline
from toiplab.phones.baresip import Baresip
from toiplab.phones.handset import Account, Handset, PhoneError, Phones
from toiplab.phones.sound import Heard

# One for each phone of a call: none is a multiple of another, nor one of a keypad's tones.
TONES = (440, 620, 810, 1050)
SURE_SECONDS = 1.0  # of a tone, after which nobody doubts who speaks
GLANCE_SECONDS = 0.4
HEAR_SECONDS = 8.0


@dataclass(frozen=True)
class NatPhones:
    """Phones on the host, which reach the appliance through its NAT forwards (row V4)."""

    address: IPv4Address
    port: int
    secrets: Secrets
    folder: Path

    @classmethod
    def of(cls, subject: Subject) -> NatPhones:
        """Phones that register at the forward named ``sip``."""
        forward = subject.forward("sip")
        address = LOOPBACK if forward.host_address.is_unspecified else forward.host_address
        return cls(address, forward.host_port, subject.secrets, subject.logs / "phones")

    def phone(self, number: str, *, tone: int, message_light: bool = False) -> Baresip:
        """A softphone with that number's account."""
        secret = self.secrets.extensions[number]
        account = Account(number, secret, self.address, self.port)
        return Baresip(account, tone=tone, folder=self.folder, message_light=message_light)


def phones_of(subject: Subject) -> Phones:
    """Where the subject's phones come from: the forwards, unless it says otherwise."""
    return subject.phones or NatPhones.of(subject)


def phone_check(row: str, title: str) -> Callable[[Look], Check]:
    """Make a function into a check; a phone that waits in vain is the appliance's failure."""

    def made(look: Look) -> Check:
        def run(subject: Subject) -> str:
            try:
                return look(subject)
            except PhoneError as error:
                raise CheckFailedError(str(error)) from None

        run.__name__ = look.__name__
        return check(row, title)(run)

    return made


def pairs(subject: Subject, wanted: int = 1) -> list[tuple[Extension, Extension]]:
    """Pairs of phones that may call each other; the lab's last context comes first.

    Raises:
        ToipLabError: the lab has fewer pairs than wanted.
    """
    found = [
        (first, second)
        for context in reversed(subject.lab.contexts.values())
        for first, second in zip(context.extensions[::2], context.extensions[1::2], strict=False)
    ]
    if len(found) < wanted:
        raise ToipLabError(
            f"{subject.lab.name}: {len(found)} pairs of phones that may call each other, "
            f"this check takes {wanted}",
            hint="give a context of the lab file more extensions",
        )
    return found


def connect(caller: Handset, called: Handset) -> None:
    """One calls the other, who answers."""
    caller.call(called.number)
    called.wait_for_call()
    caller.wait_ringing()
    called.answer()
    caller.wait_established()


def hears(phone: Handset, voice: Handset, within: float = HEAR_SECONDS) -> Heard:
    """Wait until one phone has heard the other's tone, from now on, without any other.

    Raises:
        CheckFailedError: it does not; with what it heard instead.
    """
    deadline = Deadline.within(within)
    before = phone.recording().seconds
    while True:
        phone.listen(GLANCE_SECONDS)
        heard = phone.recording().since(before).heard(TONES)
        if heard.seconds_of(voice.tone) >= SURE_SECONDS:
            return heard
        if deadline.passed:
            raise CheckFailedError(
                f"{phone.number}: expected to hear {voice.number} ({voice.tone} Hz), heard {heard}"
            )


def hear_one_another(one: Handset, other: Handset) -> str:
    """Wait until both phones have heard the other's tone."""
    hears(one, other)
    hears(other, one)
    return (
        f"{one.number} hears {other.number} ({other.tone} Hz), "
        f"{other.number} hears {one.number} ({one.tone} Hz)"
    )


def hears_music(phone: Handset, within: float = HEAR_SECONDS) -> Heard:
    """Wait until the phone has heard sound for a second that is nobody's tone."""
    deadline = Deadline.within(within)
    while True:
        heard = phone.listen(SURE_SECONDS).heard(TONES)
        spoken = sum(seconds for _, seconds in heard.tones)
        if not heard.silent and heard.seconds >= SURE_SECONDS and not spoken:
            return heard
        if deadline.passed:
            raise CheckFailedError(f"{phone.number}: expected music, heard {heard}")


def register(phones: Iterable[Handset]) -> None:
    """Wait until the server has let all of them in."""
    for phone in phones:
        phone.register()
