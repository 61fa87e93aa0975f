"""The appliance's own spoken prompts (row A9): read out of it, and looked for in what is heard."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from toiplab.exam.registry import CheckFailedError
from toiplab.exam.subject import Subject
from toiplab.machine.waiting import Deadline
from toiplab.phones.handset import Handset
from toiplab.phones.sound import Recording

SOUNDS = "/usr/share/asterisk/sounds"
ENGLISH = "en"
# Asterisk itself converts, by the decoders that a caller hears.
READ = (
    "file=$(mktemp -u --suffix .ulaw); "
    'asterisk -rx "file convert {path} $file" >/dev/null; base64 -w 0 $file; rm -f $file'
)
SURE = 0.6  # likeness; a prompt that was heard has 0.9 and more, another one 0.2
GLANCE_SECONDS = 0.5


@dataclass(frozen=True)
class Prompt:
    """A prompt in the lab's language and in English, by its name, such as ``vm-intro``."""

    name: str
    own: Recording
    english: Recording

    def heard_in(self, recording: Recording) -> bool:
        """Whether the recording holds it, in the lab's language and surely not in English."""
        own = recording.likeness(self.own)
        return own >= SURE and own > 2 * recording.likeness(self.english)


def prompt(subject: Subject, name: str) -> Prompt:
    """Read a prompt out of the appliance.

    Raises:
        CheckFailedError: it is not there.
    """
    languages = (subject.lab.sip.language, ENGLISH)
    paths = [f"{SOUNDS}/{language}/{name}.gsm" for language in languages]
    texts = subject.ask(*(READ.format(path=path) for path in paths))
    own, english = (_decoded(text, path) for text, path in zip(texts, paths, strict=True))
    return Prompt(name, own, english)


def wait_for_prompt(phone: Handset, wanted: Prompt, within: float) -> str:
    """Listen, from where the call began, until the prompt was heard.

    Raises:
        CheckFailedError: it was not; with how like each language's file what was heard is.
    """
    deadline = Deadline.within(within)
    while True:
        phone.listen(GLANCE_SECONDS)
        heard = phone.recording()
        if wanted.heard_in(heard):
            return f"{wanted.name} heard ({heard.likeness(wanted.own):.0%} alike)"
        if deadline.passed:
            raise CheckFailedError(
                f"{phone.number}: expected the prompt {wanted.name}, heard sound that is "
                f"{heard.likeness(wanted.own):.0%} like it and "
                f"{heard.likeness(wanted.english):.0%} like the English one "
                f"({heard.seconds:.1f} s)"
            )


def _decoded(text: str, path: str) -> Recording:
    try:
        samples = Recording.from_ulaw(base64.b64decode(text.strip(), validate=True))
    except binascii.Error:
        raise CheckFailedError(f"{path}: cannot be read: {text.strip()}") from None
    if not samples.seconds:
        raise CheckFailedError(f"{path}: is empty")
    return samples
