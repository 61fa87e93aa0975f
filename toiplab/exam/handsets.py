"""The phones of an exam at work: they are switched on, connected, and hear one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from toiplab.exam.places import phones_of
from toiplab.exam.registry import CheckFailedError, NotHereError
from toiplab.exam.subject import Subject
from toiplab.machine.waiting import Deadline
from toiplab.phones.handset import Handset, Phones
from toiplab.phones.sound import Heard

# One for each phone of a call: none is a multiple of another, nor one of a keypad's tones.
TONES = (440, 620, 810, 1050)
SURE_SECONDS = 1.0  # of a tone, after which nobody doubts who speaks
GLANCE_SECONDS = 0.4
SPOKEN = {"ulaw", "alaw"}
EVENT_MODES = ("rfc2833", "auto")
HEAR_SECONDS = 8.0


@contextmanager
def switched_on(
    subject: Subject, phones: Phones | None = None, *, message_light: str = ""
) -> Iterator[tuple[Handset, ...]]:
    """The subject's players' softphones, each with a voice of its own, once all are registered.

    They stand where the subject's phones do, or where ``phones`` says. The phone of the
    number ``message_light`` asks to be told of messages.

    Raises:
        PhoneError: one is not let in.
    """
    if not SPOKEN & set(subject.lab.sip.codecs):
        raise NotHereError(f"the exam's phones speak none of {' '.join(subject.lab.sip.codecs)}")
    phones = phones or phones_of(subject)
    with ExitStack() as stack:
        handsets = tuple(
            stack.enter_context(
                phones.phone(
                    player.number,
                    subject.logs,
                    tone=tone,
                    message_light=player.number == message_light,
                )
            )
            for player, tone in zip(subject.players, TONES, strict=False)
        )
        for handset in handsets:
            handset.register()
        yield handsets


def needs_keys(subject: Subject) -> None:
    """Phones press keys as events among the sound (RFC 4733); the lab must listen for those.

    Raises:
        NotHereError: it does not.
    """
    if subject.lab.sip.dtmf_mode not in EVENT_MODES:
        raise NotHereError(f"the exam's phones do not press keys by {subject.lab.sip.dtmf_mode}")


def connect(caller: Handset, called: Handset) -> None:
    """One calls the other, who answers."""
    caller.call(called.number)
    called.wait_for_call()
    caller.wait_ringing()
    called.answer()
    caller.wait_established()


def hears(phone: Handset, voice: Handset, within: float = HEAR_SECONDS) -> Heard:
    """Wait until one phone hears the other's tone for a while, without anybody else's.

    Raises:
        CheckFailedError: it does not; with what it heard instead.
    """
    deadline = Deadline.within(within)
    before = phone.recording().seconds
    while True:
        phone.listen(GLANCE_SECONDS)
        new = phone.recording().since(before)
        heard = new.heard(TONES)
        latest = new.since(max(0.0, new.seconds - SURE_SECONDS)).heard(TONES)
        if latest.seconds_of(voice.tone) >= SURE_SECONDS:
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
