"""Row A10, by a real call: it leaves its record where the lab file says."""

from __future__ import annotations

import re

from toiplab.exam.registry import Fact, agree, check
from toiplab.exam.subject import Subject

RECORD_SECONDS = 30
# One line for every record of a call to a number from a context, the oldest first.
RECORDS = {
    "csv": 'grep -sF \',"{number}","{context}",\' /var/log/asterisk/cdr-csv/Master.csv',
    "mysql": (
        "mysql -BNe \"SELECT calldate, disposition FROM cdr WHERE dst = '{number}' "
        "AND dcontext = '{context}' ORDER BY id\" asterisk"
    ),
}
DISPOSITION = re.compile(r"NO ANSWER|ANSWERED|BUSY|FAILED|CONGESTION")


@check("A10", "a call leaves its record where the lab says")
def call_records(subject: Subject) -> str:
    """Asterisk calls its own voicemail, which answers, and hangs up after a second."""
    backend, number = subject.lab.cdr, subject.lab.voicemail.number
    context = next(iter(subject.lab.contexts))
    listing = RECORDS[backend].format(number=number, context=context)
    seen = subject.act(
        f"records() {{ {listing}; }}; before=$(records | wc -l); "
        f"asterisk -rx 'channel originate Local/{number}@{context} application Wait 1'; "
        f"until [ $(records | wc -l) -gt $before ] || [ $SECONDS -gt {RECORD_SECONDS} ]; "
        "do sleep 0.2; done; records | tail -n +$((before + 1))"
    ).output
    became = DISPOSITION.search(seen)
    agree(Fact(f"{backend} record of a call to {number}", "ANSWERED", became and became[0]))
    return f"a call from {context} to {number} is in {backend}"


CHECKS = (call_records,)
