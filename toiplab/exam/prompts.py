"""The appliance's own spoken prompts (row A9): read out of it, and looked for in what is heard."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from toiplab.exam.asterisk import ENGLISH, SOUNDS
from toiplab.exam.registry import CheckFailedError
from toiplab.exam.subject import Subject
from toiplab.machine.waiting import Deadline
from toiplab.phones.handset import Handset
from toiplab.phones.sound import Recording

HOLD_MUSIC = "/var/lib/asterisk/moh"
# As much of a prompt as tells it from all others; a serial console is slow.
OPENING_BYTES = 12000  # 1.5 s
# Asterisk itself converts, by the decoders that a caller hears.
READ = (
    "file=$(mktemp -u --suffix .ulaw); "
    'asterisk -rx "file convert {path} $file" >/dev/null; '
    f"head -c {OPENING_BYTES} $file | base64 -w 0; rm -f $file"
)
SURE = 0.6  # likeness; a prompt that was heard has 0.9 and more, another one 0.2
GLANCE_SECONDS = 0.5


@dataclass(frozen=True)
class Prompt:
    """How a prompt begins, in the lab's language and in English; it is named as in ``vm-intro``.

    ``english`` is empty where English is the lab's language.
    """

    name: str
    own: Recording
    english: Recording


@dataclass(frozen=True)
class Alike:
    """How like a prompt's files a recording is, 0 to 1: the lab's language, and English."""

    own: float
    english: float

    @classmethod
    def of(cls, recording: Recording, wanted: Prompt) -> Alike:
        """Look for both in a recording."""
        return cls(recording.likeness(wanted.own), recording.likeness(wanted.english))

    @staticmethod
    def where(recording: Recording, wanted: Prompt) -> float:
        """In which second of the recording it begins, in the language it is most like."""
        own = recording.likeness(wanted.own) >= recording.likeness(wanted.english)
        return recording.begins(wanted.own if own else wanted.english)

    @property
    def heard(self) -> bool:
        """Whether the prompt was heard, in whichever language."""
        return max(self.own, self.english) >= SURE

    @property
    def own_language(self) -> bool:
        """Whether it was heard in the lab's language, and surely not in English."""
        return self.own >= SURE and self.own > 2 * self.english


def prompt(subject: Subject, name: str) -> Prompt:
    """Read a prompt out of the appliance.

    Raises:
        CheckFailedError: it is not there.
    """
    languages = dict.fromkeys((subject.lab.sip.language, ENGLISH))
    own, *english = _read(subject, *(f"{SOUNDS}/{language}/{name}.gsm" for language in languages))
    return Prompt(name, own, Recording.join(english))


def hold_music(subject: Subject) -> Recording:
    """How the music on hold begins (row A10).

    Raises:
        CheckFailedError: there is none, or it cannot be played.
    """
    (opening,) = _read(subject, f"$(ls {HOLD_MUSIC}/*.mp3 | head -n 1)")
    return opening


def wait_for_prompt(
    phone: Handset, wanted: Prompt, within: float, *, own_language: bool = False
) -> str:
    """Listen, from where the call began, until the prompt was heard.

    In which language is a matter of row A9, whose check asks for the lab's ``own_language``.

    Raises:
        CheckFailedError: it was not; with how like each language's file what was heard is.
    """
    deadline = Deadline.within(within)
    while True:
        heard = phone.recording()
        alike = Alike.of(heard, wanted)
        if alike.own_language if own_language else alike.heard:
            return f"{wanted.name} heard"
        if deadline.passed:
            raise CheckFailedError(
                f"{phone.number}: expected the prompt {wanted.name}, heard sound that is "
                f"{alike.own:.0%} like it and {alike.english:.0%} like the English one "
                f"({heard.seconds:.1f} s)"
            )
        phone.listen(GLANCE_SECONDS)


def wait_for_music(phone: Handset, opening: Recording, within: float) -> str:
    """Listen, from where the call began, until the music's opening was heard.

    Raises:
        CheckFailedError: it was not; with how like it is what was heard.
    """
    deadline = Deadline.within(within)
    while (alike := phone.recording().likeness(opening)) < SURE:
        if deadline.passed:
            raise CheckFailedError(
                f"{phone.number}: expected the music of {HOLD_MUSIC}, heard sound that is "
                f"{alike:.0%} like it ({phone.recording().seconds:.1f} s)"
            )
        phone.listen(GLANCE_SECONDS)
    return f"{phone.number} hears it ({alike:.0%} alike)"


def _read(subject: Subject, *paths: str) -> list[Recording]:
    """The openings of sound files of the appliance."""
    texts = subject.read(*(READ.format(path=path) for path in paths))
    return [_decoded(text, path) for text, path in zip(texts, paths, strict=True)]


def _decoded(text: str, path: str) -> Recording:
    try:
        samples = Recording.from_ulaw(base64.b64decode(text.strip(), validate=True))
    except binascii.Error:
        raise CheckFailedError(f"{path}: cannot be read: {text.strip()}") from None
    if not samples.seconds:
        raise CheckFailedError(f"{path}: is empty")
    return samples
