"""Row A5: a message is left, its light comes on, and it is heard back."""

from __future__ import annotations

from toiplab.exam.cast import context_of
from toiplab.exam.handsets import hears, needs_keys, switched_on
from toiplab.exam.prompts import prompt, wait_for_prompt
from toiplab.exam.registry import Fact, NotHereError, agree, check
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Handset

GREETING, PASSWORD, COUNT = "vm-theperson", "vm-password", "vm-youhave"
PROMPT_SECONDS = 12.0
PLAYED_SECONDS = 40.0  # the day and the hour are spoken before the message
MESSAGE_SECONDS = 4  # longer than minsecs of voicemail.conf
MESSAGES = "ls /var/spool/asterisk/voicemail/{context}/{number}/INBOX/ | grep -c '[.]wav$'"


@check("A5", "a message is left, its light comes on, and the PIN opens it", takes=((2,),))
def message(subject: Subject) -> str:
    """The called phone refuses; the caller speaks to its mailbox, where the call is sent."""
    needs_keys(subject)
    _, other = subject.players
    context, rules = context_of(subject.lab, other.number)
    if rules.unanswered != "voicemail":
        raise NotHereError(f"in {context} nobody reaches a mailbox: unanswered calls end")
    greeting, password, count = (prompt(subject, n) for n in (GREETING, PASSWORD, COUNT))
    kept = MESSAGES.format(context=context, number=other.number)
    with switched_on(subject, message_light=other.number) as (caller, owner):
        before = int(subject.act(kept).output.split()[-1])
        caller.call(owner.number)
        owner.wait_for_call()
        owner.hang_up()
        caller.wait_established()
        wait_for_prompt(caller, greeting, PROMPT_SECONDS)
        caller.press("#")  # straight to the beep
        caller.listen(MESSAGE_SECONDS)
        caller.hang_up()
        waiting = owner.wait_message_light(before + 1)
        now = int(subject.act(kept).output.split()[-1])
        agree(Fact(f"messages in {owner.number}'s spool", before + 1, now))

        owner.call(subject.lab.voicemail.number)
        owner.wait_established()
        wait_for_prompt(owner, password, PROMPT_SECONDS)
        owner.press(f"{subject.secrets.mailboxes[owner.number]}#")
        wait_for_prompt(owner, count, PROMPT_SECONDS)
        owner.press("1")
        heard = hears(owner, caller, PLAYED_SECONDS)
        _delete(owner)
    return f"{waiting} new for {other.number}; {subject.lab.voicemail.number} plays {heard}"


def _delete(owner: Handset) -> None:
    """Leave the mailbox as it was found."""
    owner.press("7")
    owner.listen(1)
    owner.hang_up()
    owner.wait_closed()


CHECKS = (message,)
