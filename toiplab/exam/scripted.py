"""Rows A1, A2 and V4 by scripted calls: what is agreed, who is let in, and how many at once."""

from __future__ import annotations

from toiplab.exam.handsets import TONES, NatPhones, pairs
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.phones.handset import Account
from toiplab.phones.sipp import Sipp, Tally
from toiplab.phones.sound import write_ulaw_tone

EVENTS = "telephone-event"
NAMES = {"ulaw": "PCMU", "alaw": "PCMA", "gsm": "GSM", "g722": "G722"}  # RFC 3551 section 6
VIDEO = {"h264": "H264"}
OFFERED = ("PCMU", "PCMA", "GSM")
REFUSED = "403 Forbidden"
STRANGER = Account("intrus", "ouvre-toi")
SECONDS_OF_SPEECH = 6
ANSWERING_PORT = 11900  # none that a phone takes for itself
REMAINS = "INVITE|ACK|BYE|CANCEL"  # the last message of a call
REMAINS_SECONDS = 45
PORTS_PER_CALL = 4  # two phones, each with sound and its report (RFC 3550 section 11)
REGISTER_SECONDS = 10.0


@check("A1", "an offer of audio and H.264: what the lab says is agreed, and nothing else")
def agreed(subject: Subject) -> str:
    """Voicemail answers at once; it is asked for PCMU, PCMA and GSM, digits and video."""
    one, _ = pairs(subject)[0]
    caller = _account(subject, one.number)
    tally = _sipp(subject).call([(caller, subject.lab.voicemail.number)], video=True)
    _well(tally, f"{one.number} calls {subject.lab.voicemail.number}")
    audio, video = tally.medium("audio"), tally.medium("video")
    names = {NAMES[codec] for codec in subject.lab.sip.codecs} & set(OFFERED)
    if subject.lab.sip.dtmf_mode == "rfc2833":
        names.add(EVENTS)
    pictures = {VIDEO[codec] for codec in subject.lab.sip.video_codecs if codec in VIDEO}
    agree(
        Fact("audio", names, set(audio.formats) if audio else None),
        Fact("video", pictures, set(video.formats) if video and video.port else set()),
    )
    return "; ".join(f"{medium.kind}: {' '.join(medium.formats)}" for medium in tally.answer)


@check("A2", "every phone registers")
def all_register(subject: Subject) -> str:
    """All of the lab's phones, with their own secrets."""
    accounts = [_account(subject, extension.number) for extension in subject.lab.extensions]
    tally = _sipp(subject).register(accounts, rate=20)
    _well(tally, "registrations")
    if tally.seconds > REGISTER_SECONDS:
        raise CheckFailedError(
            f"{tally.well} phones: expected within {REGISTER_SECONDS:g} s, took {tally.seconds:.1f}"
        )
    return f"{tally.well} phones in {tally.seconds:.1f} s"


@check("A2", "a call with a wrong secret and a guest's are refused in the same words")
def refused(subject: Subject) -> str:
    """Neither reaches a phone, and nobody learns which numbers exist."""
    one, other = pairs(subject)[0]
    sipp = _sipp(subject)
    wrong = Account(one.number, f"{subject.secrets.extensions[one.number]}x")
    seen = [sipp.call([(account, other.number)]) for account in (wrong, STRANGER)]
    agree(
        Fact("calls let in", 0, sum(tally.well for tally in seen)),
        Fact("wrong secret", REFUSED, seen[0].refusal),
        Fact("a guest", REFUSED, seen[1].refusal),
    )
    return f"wrong secret: {seen[0].refusal}; a guest: {seen[1].refusal}"


@check("V4", "as many calls at once as there are ports for their sound")
def load(subject: Subject) -> str:
    """All between two phones; both sides speak."""
    one, other = pairs(subject)[0]
    caller, called = (_account(subject, extension.number) for extension in (one, other))
    rtp = subject.lab.networks.nat.rtp
    count = (rtp.last - rtp.first + 1) // PORTS_PER_CALL
    sound = subject.logs / "tone.ulaw"
    write_ulaw_tone(sound, TONES[0])
    sipp = _sipp(subject)
    _wait_until_ports_are_free(subject)
    _well(sipp.register([called], port=ANSWERING_PORT), "registration")
    with sipp.answering(ANSWERING_PORT, sound=sound):
        tally = sipp.call([(caller, called.number)] * count, seconds=SECONDS_OF_SPEECH, sound=sound)
    _well(tally, "calls")
    return f"{tally.well} calls of {SECONDS_OF_SPEECH} s in {tally.seconds:.1f} s"


def _wait_until_ports_are_free(subject: Subject) -> None:
    """chan_sip keeps a call's ports for half a minute after its end (RFC 3261, 64 times T1)."""
    subject.act(
        f"while asterisk -rx 'sip show channels' | grep -qE '{REMAINS}' && "
        f"[ $SECONDS -lt {REMAINS_SECONDS} ]; do sleep 1; done"
    )


def _well(tally: Tally, what: str) -> None:
    agree(Fact(f"{what} that failed", "0", f"{tally.failed} {tally.refusal}".strip()))


def _account(subject: Subject, number: str) -> Account:
    return Account(number, subject.secrets.extensions[number])


def _sipp(subject: Subject) -> Sipp:
    phones = NatPhones.of(subject)
    return Sipp(phones.address, phones.port, subject.logs / "sipp")


CHECKS = (agreed, all_register, refused, load)
