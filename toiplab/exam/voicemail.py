"""Row A5: a message is left, its light comes on, and it is heard back."""

from __future__ import annotations

from toiplab.exam.handsets import TONES, hears, pairs, phone_check, phones_of, register
from toiplab.exam.prompts import prompt, wait_for_prompt
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Handset

GREETING, PASSWORD, COUNT = "vm-theperson", "vm-password", "vm-youhave"
PROMPT_SECONDS = 12.0
PLAYED_SECONDS = 40.0  # the day and the hour are spoken before the message
MESSAGE_SECONDS = 4  # longer than minsecs of voicemail.conf


@phone_check("A5", "a message is left, its light comes on, and it is heard back with the PIN")
def message(subject: Subject) -> str:
    """The called phone refuses; the caller speaks to its mailbox, where the call is sent."""
    phones, (one, other) = phones_of(subject), pairs(subject)[0]
    greeting, password, count = (prompt(subject, n) for n in (GREETING, PASSWORD, COUNT))
    with (
        phones.phone(one.number, tone=TONES[0]) as caller,
        phones.phone(other.number, tone=TONES[1], message_light=True) as owner,
    ):
        register((caller, owner))
        caller.call(owner.number)
        owner.wait_for_call()
        owner.hang_up()
        caller.wait_established()
        wait_for_prompt(caller, greeting, PROMPT_SECONDS)
        caller.press("#")  # straight to the beep
        caller.listen(MESSAGE_SECONDS)
        caller.hang_up()
        waiting = owner.wait_message_light()

        owner.call(subject.lab.voicemail.number)
        owner.wait_established()
        wait_for_prompt(owner, password, PROMPT_SECONDS)
        owner.press(f"{subject.secrets.mailboxes[owner.number]}#")
        wait_for_prompt(owner, count, PROMPT_SECONDS)
        owner.press("1")
        heard = hears(owner, caller, PLAYED_SECONDS)
        _delete(owner)
    return f"{waiting} new for {owner.number}; {subject.lab.voicemail.number} plays {heard}"


def _delete(owner: Handset) -> None:
    """Leave the mailbox as it was found."""
    owner.press("7")
    owner.listen(1)
    owner.hang_up()
    owner.wait_closed()


CHECKS = (message,)
