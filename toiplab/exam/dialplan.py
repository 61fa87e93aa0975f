"""Rows A3 to A8: what dialled numbers do, by the dialplan that runs."""

from __future__ import annotations

from toiplab.exam import asterisk_readings as readings
from toiplab.exam.registry import Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.lab.model import Context

PARKED = "parkedcalls"
# Only phones have a hint: without one, a number of the pattern is nobody's.
REFUSES_UNKNOWN = 'GotoIf($["${{HINT(${{EXTEN}}@{context})}}" = ""]?inconnu)'
TRANSFERS = frozenset("tT")  # Dial's options: either side may transfer


@check("A3", "every phone can be dialled in its context")
def reachable(subject: Subject) -> str:
    """Dial is what its number runs, past the refusal of unknown ones; its state can be watched."""
    plans = _plans(subject)
    facts = []
    for name, number in _numbers(subject):
        reached = plans[name].reaches(number)
        facts += [
            Fact(f"{number} in {name}: dials", True, bool(reached and reached.dial)),
            Fact(
                f"{number} in {name}: before that",
                (REFUSES_UNKNOWN.format(context=name),),
                reached and reached.before_dial(),
            ),
            Fact(f"{number} in {name}: hint", f"SIP/{number}", plans[name].hint(number)),
        ]
    agree(*facts)
    return ", ".join(f"{number} in {name}" for name, number in _numbers(subject))


@check("A4", "a phone rings as long as the lab says, then voicemail; contexts are apart")
def ringing(subject: Subject) -> str:
    """The applications after one another, and that no context reaches another's phones."""
    plans = _plans(subject)
    facts = []
    for name, context in subject.lab.contexts.items():
        plan = plans[name]
        for extension in context.extensions:
            number = extension.number
            reached = plan.reaches(number)
            dial = reached.dial if reached else None
            facts += [
                Fact(f"{number}: seconds of ringing", context.ring_seconds, dial and dial[0]),
                Fact(
                    f"{number}: then", _unanswered(name, context), reached and reached.after_dial()
                ),
            ]
        facts += [
            Fact(f"{name} includes", {PARKED}, set(plan.includes)),
            Fact(
                f"phones of others that {name} reaches",
                [],
                [n for other, n in _numbers(subject) if other != name and plan.reaches(n)],
            ),
        ]
    agree(*facts)
    return "; ".join(
        f"{name}: {context.ring_seconds} s, then {context.unanswered}"
        for name, context in subject.lab.contexts.items()
    )


@check("A5", "a mailbox for every phone, and the number that plays it")
def voicemail(subject: Subject) -> str:
    """``voicemail show users``, and voicemail's number in every context."""
    plans = _plans(subject)
    number = subject.lab.voicemail.number
    wanted = {
        f"{extension.number}@{name} {extension.name}"
        for name, context in subject.lab.contexts.items()
        for extension in context.extensions
    }
    boxes = readings.mailboxes(subject.asterisk_one("voicemail show users"))
    first = {name: plan.reaches(number) for name, plan in plans.items()}
    agree(
        Fact("mailboxes", wanted, {f"{box.number}@{box.context} {box.name}" for box in boxes}),
        *(
            Fact(
                f"{number} in {name}",
                f"VoiceMailMain(${{CALLERID(num)}}@{name})",
                reached and reached.steps[0],
            )
            for name, reached in first.items()
        ),
    )
    return f"{len(wanted)} mailboxes, {number} plays them"


@check("A6", "parking: its number, its slots, its time")
def parking(subject: Subject) -> str:
    """The parking lot that runs, and the extensions it made."""
    lab = subject.lab.parking
    shown, parked = subject.asterisk("parking show default", f"dialplan show {PARKED}")
    lot = readings.settings(shown)
    plan = readings.dialplan(parked)
    steps = {extension.pattern: extension.steps for extension in plan.extensions}
    parks = steps.get(lab.number, ("",))[0]
    slots = range(int(lab.slots.first), int(lab.slots.last) + 1)
    agree(
        Fact("Parking Extension", lab.number, lot.get("Parking Extension")),
        Fact("Parking Context", PARKED, lot.get("Parking Context")),
        Fact("Parking Spaces", str(lab.slots), lot.get("Parking Spaces")),
        Fact("Parking Time", f"{lab.seconds} sec", lot.get("Parking Time")),
        Fact("Comeback to Origin", "yes", lot.get("Comeback to Origin")),
        Fact(f"{lab.number} in {PARKED}", True, parks.startswith("Park(")),
        Fact(
            f"slots missing in {PARKED}",
            [],
            [slot for slot in slots if steps.get(str(slot)) != (f"ParkedCall(default,{slot})",)],
        ),
    )
    return f"{lab.number} parks in {lab.slots}, {lab.seconds} s"


@check("A7", "no number hides the parking numbers")
def parking_in_the_open(subject: Subject) -> str:
    """A context's own extensions go before those it includes: none may match these."""
    lab = subject.lab.parking
    plans = _plans(subject)
    numbers = (lab.number, *map(str, range(int(lab.slots.first), int(lab.slots.last) + 1)))
    hidden = [
        f"{number} behind {reached.pattern} of {name}"
        for name, plan in plans.items()
        for number in numbers
        if (reached := plan.reaches(number))
    ]
    agree(
        Fact("hidden", [], hidden),
        Fact(
            f"contexts that do not include {PARKED}",
            [],
            [name for name, plan in plans.items() if PARKED not in plan.includes],
        ),
    )
    return f"{lab.number} and {lab.slots} reached from {' '.join(plans)}"


@check("A8", "the transfer keys, and Dial lets both sides use them")
def transfers(subject: Subject) -> str:
    """``features show``, and the options of every Dial that runs."""
    lab = subject.lab.features
    keys = readings.features(subject.asterisk_one("features show"))
    plans = _plans(subject)
    facts = [
        Fact("Blind Transfer", lab.blind_transfer, keys.get("Blind Transfer")),
        Fact("Attended Transfer", lab.attended_transfer, keys.get("Attended Transfer")),
    ]
    for name, number in _numbers(subject):
        reached = plans[name].reaches(number)
        options = reached.dial[1] if reached and reached.dial else ""
        facts.append(
            Fact(f"{number}: Dial's transfer options", set(TRANSFERS), TRANSFERS & set(options))
        )
    agree(*facts)
    return f"{lab.blind_transfer} blind, {lab.attended_transfer} attended, Dial has t and T"


def _plans(subject: Subject) -> dict[str, readings.Context]:
    names = tuple(subject.lab.contexts)
    shown = subject.asterisk(*(f"dialplan show {name}" for name in names))
    return {name: readings.dialplan(text) for name, text in zip(names, shown, strict=True)}


def _numbers(subject: Subject) -> list[tuple[str, str]]:
    """Every context with each of its phones' numbers."""
    return [
        (name, extension.number)
        for name, context in subject.lab.contexts.items()
        for extension in context.extensions
    ]


def _unanswered(name: str, context: Context) -> str:
    return f"VoiceMail(${{EXTEN}}@{name},u)" if context.unanswered == "voicemail" else "Hangup()"


CHECKS = (reachable, ringing, voicemail, parking, parking_in_the_open, transfers)
