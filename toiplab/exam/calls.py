"""Row A10, by a real call: it leaves its record where the lab file says."""

from __future__ import annotations

import re
import shlex

from toiplab.exam.registry import Fact, agree, check
from toiplab.exam.subject import Subject

RECORD_SECONDS = 30
SPOOL = "/var/spool/asterisk/outgoing"
# One line for every record of a call to a number from a context, the oldest first.
RECORDS = {
    "csv": 'grep -sF \',"{number}","{context}",\' /var/log/asterisk/cdr-csv/Master.csv',
    "mysql": (
        "mysql -BNe \"SELECT clid, disposition FROM cdr WHERE dst = '{number}' "
        "AND dcontext = '{context}' ORDER BY id\" asterisk"
    ),
}
CALLER = re.compile(r'"([^"]*)"+ <(\d+)>')
DISPOSITION = re.compile(r"NO ANSWER|ANSWERED|BUSY|FAILED|CONGESTION")


@check("A10", "a call leaves its record where the lab says")
def call_records(subject: Subject) -> str:
    """Asterisk calls its own voicemail for a phone, which answers, and hangs up after a second.

    The call is asked for by a call file, as the Asterisk wiki's "Asterisk Call Files" has it.
    """
    backend, number = subject.lab.cdr, subject.lab.voicemail.number
    name, context = next(iter(subject.lab.contexts.items()))
    phone = context.extensions[0]
    call = (
        f"Channel: Local/{number}@{name}",
        f'CallerID: "{phone.name}" <{phone.number}>',
        "Application: Wait",
        "Data: 1",
    )
    seen = subject.act(
        f"records() {{ {RECORDS[backend].format(number=number, context=name)}; }}; "
        "before=$(records | wc -l); "
        f"printf '%s\\n' {shlex.join(call)} >/var/tmp/exam.call; "
        f"chown asterisk: /var/tmp/exam.call; mv /var/tmp/exam.call {SPOOL}/; "
        f"until [ $(records | wc -l) -gt $before ] || [ $SECONDS -gt {RECORD_SECONDS} ]; "
        "do sleep 0.2; done; records | tail -n +$((before + 1))"
    ).output
    caller, became = CALLER.search(seen), DISPOSITION.search(seen)
    agree(
        Fact(f"{backend} record of a call to {number}", "ANSWERED", became and became[0]),
        Fact(
            "its caller", f"{phone.name} <{phone.number}>", caller and f"{caller[1]} <{caller[2]}>"
        ),
    )
    return f"a call of {phone.number} to {number} is in {backend}"


CHECKS = (call_records,)
