"""Rows A1, A2 and A4 by scripted calls: what is agreed, who is let in, and how many at once."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

from toiplab.exam.handsets import EVENT_MODES, TONES
from toiplab.exam.places import account, phones_of
from toiplab.exam.registry import CheckFailedError, Fact, NotHereError, agree, check, few
from toiplab.exam.sip import REFUSED
from toiplab.exam.subject import Subject
from toiplab.lab.types import PORTS_PER_CALL
from toiplab.phones.handset import Account
from toiplab.phones.sipp import REGISTER_RATE, Sipp, Tally
from toiplab.phones.sound import write_ulaw_tone
from toiplab.wire import pcap, rtp

NAMES = {"ulaw": "PCMU", "alaw": "PCMA", "gsm": "GSM", "g722": "G722"}  # RFC 3551 section 6
VIDEO = {"h264": "H264"}
OFFERED = ("PCMU", "PCMA", "GSM")
STRANGER = Account("intrus", "ouvre-toi")
CALLS = 10
SECONDS_OF_SPEECH = 6
ANSWERING_PORT = 11900  # none that a phone takes for itself
REMAINS = "INVITE|ACK|BYE|CANCEL"  # the last message of a call
REMAINS_SECONDS = 45
PACKETS_IN_A_SECOND = 50
ENOUGH = 0.9  # of a call's packets: its first and last moments are not yet sound both ways
REGISTER_SECONDS = 10.0


@check("A1", "an offer of audio and H.264: what the lab says is agreed, no more", takes=((1,),))
def agreed(subject: Subject) -> str:
    """Voicemail answers at once; it is asked for PCMU, PCMA and GSM, digits and video."""
    names = {NAMES[codec] for codec in subject.lab.sip.codecs} & set(OFFERED)
    if not names:
        raise NotHereError(f"of {' '.join(subject.lab.sip.codecs)}, nothing is offered")
    if subject.lab.sip.dtmf_mode in EVENT_MODES:
        names.add(rtp.KEY_EVENTS)
    number = subject.players[0].number
    wanted = subject.lab.voicemail.number
    tally = _sipp(subject).call([(account(subject, number), wanted)], video=True)
    _well(tally, 1, f"calls of {number} to {wanted}")
    audio, video = tally.medium("audio"), tally.medium("video")
    pictures = {VIDEO[codec] for codec in subject.lab.sip.video_codecs if codec in VIDEO}
    agree(
        Fact("audio", names, set(audio.names) if audio else None),
        Fact("video", pictures, set(video.names) if video and video.port else set()),
    )
    return "; ".join(f"{medium.kind}: {' '.join(medium.names)}" for medium in tally.answer)


@check("A2", "the whole class registers within ten seconds", takes=((1,),), alone=True)
def all_register(subject: Subject) -> str:
    """All of the lab's phones, with their own secrets."""
    accounts = [account(subject, extension.number) for extension in subject.lab.extensions]
    sipp = _sipp(subject)
    rate = max(REGISTER_RATE, round(2 * len(accounts) / REGISTER_SECONDS))
    tally = sipp.register(accounts, rate=rate)
    sipp.take_back(accounts)
    _well(tally, len(accounts), "registrations")
    if tally.seconds > REGISTER_SECONDS:
        raise CheckFailedError(
            f"{tally.well} phones: expected within {REGISTER_SECONDS:g} s, took {tally.seconds:.1f}"
        )
    return f"{tally.well} phones in {tally.seconds:.1f} s, {tally.rate:.1f} in a second"


@check("A2", "a call with a wrong secret and a guest's are refused alike", takes=((2,),))
def refused(subject: Subject) -> str:
    """Neither reaches a phone, and nobody learns which numbers exist."""
    one, other = subject.players
    sipp = _sipp(subject)
    wrong = Account(one.number, f"{subject.secrets.extensions[one.number]}x")
    seen = [sipp.call([(account, other.number)]) for account in (wrong, STRANGER)]
    agree(
        Fact("calls let in", 0, sum(tally.well for tally in seen)),
        Fact("wrong secret", REFUSED, seen[0].refusal),
        Fact("a guest", REFUSED, seen[1].refusal),
        Fact("a guest is asked for a secret first", seen[0].refused_at, seen[1].refused_at),
    )
    return f"wrong secret: {seen[0].refusal}; a guest: {seen[1].refusal}"


@check("A4", "ten calls at once, sound both ways", takes=((2,),), alone=True)
def load(subject: Subject) -> str:
    """All between two phones; both sides speak. Fewer where the lab has fewer ports."""
    caller, called = (account(subject, player.number) for player in subject.players)
    rtp = subject.lab.networks.nat.rtp
    count = min(CALLS, (rtp.last - rtp.first + 1) // PORTS_PER_CALL)
    sound = subject.logs / "tone.ulaw"
    write_ulaw_tone(sound, TONES[0])
    sipp = _sipp(subject)
    _wait_until_ports_are_free(subject)
    _well(sipp.register([called], port=ANSWERING_PORT), 1, "registrations")
    began = time.time()
    with sipp.answering(ANSWERING_PORT, sound=sound):
        tally = sipp.call([(caller, called.number)] * count, seconds=SECONDS_OF_SPEECH, sound=sound)
    sipp.take_back([called])
    _well(tally, count, "calls")
    capture = subject.lab_capture or subject.nat_capture
    heard = _sound(subject, capture, began, count) if capture else "sound not looked at"
    return f"{count} calls of {SECONDS_OF_SPEECH} s in {tally.seconds:.1f} s, {heard}"


def _sound(subject: Subject, capture: Path, began: float, calls: int) -> str:
    """Check that the server spoke to both phones of every call at one time, long enough.

    Asterisk sends a packet on for each that it gets, 50 in a second (RFC 3551, section 4.5).
    """
    ours = set(subject.lab.networks.nat.rtp)
    streams: dict[tuple[int, int], list[float]] = defaultdict(list)
    for datagram in pcap.read(capture):
        ports = datagram.source.port, datagram.target.port
        if datagram.at >= began and ports[0] in ours and rtp.parse(datagram.payload):
            streams[ports].append(datagram.at)
    wanted = round(ENOUGH * SECONDS_OF_SPEECH * PACKETS_IN_A_SECOND)
    thin = sorted(len(times) for times in streams.values() if len(times) < wanted)
    last_begins = max((times[0] for times in streams.values()), default=0.0)
    first_ends = min((times[-1] for times in streams.values()), default=0.0)
    agree(
        Fact("streams of sound from the server", 2 * calls, len(streams)),
        Fact(f"streams of fewer than {wanted} packets", [], few(thin)),
        Fact("all at one time", True, last_begins < first_ends),
    )
    rate = sum(map(len, streams.values())) / SECONDS_OF_SPEECH
    return f"{rate:.0f} packets of sound in a second"


def _wait_until_ports_are_free(subject: Subject) -> None:
    """chan_sip keeps a call's ports for half a minute after its end (RFC 3261, 64 times T1)."""
    subject.act(
        f"while asterisk -rx 'sip show channels' | grep -qE '{REMAINS}' && "
        f"[ $SECONDS -lt {REMAINS_SECONDS} ]; do sleep 1; done"
    )


def _well(tally: Tally, wanted: int, what: str) -> None:
    """Check that all went well; else with what the server said to the first that did not."""
    agree(Fact(what, str(wanted), f"{tally.well} {tally.refusal}".strip()))


def _sipp(subject: Subject) -> Sipp:
    place = phones_of(subject).place(subject.players[0].number)
    return Sipp(place, subject.logs / "sipp")


ALONE = (all_register, load)
CHECKS = (refused, agreed)
