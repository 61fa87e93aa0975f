"""Faults that the checks with phones must see: in the appliance, or in how it is used.

The numbers are those of labs/isi.yml; phones of ISI_KM, its last context, are taken first.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from toiplab.exam.conversations import apart, conversation, spoken, through_forwards, unanswered
from toiplab.exam.leases import full_range, lab_phones, leases, nothing_offered
from toiplab.exam.logins import logins
from toiplab.exam.parking import comes_back, music_on_hold, taken_back
from toiplab.exam.places import phones_of
from toiplab.exam.registry import Check
from toiplab.exam.restarts import asterisk, dhcp, lab_card, ssh
from toiplab.exam.scripted import agreed, all_register, load, refused
from toiplab.exam.subject import Subject
from toiplab.exam.transfers import attended, blind
from toiplab.exam.voicemail import message
from toiplab.machine.lan.phone import Phone
from toiplab.phones.handset import Phones

# Those that take less than a quarter of a minute; the longest come first.
WITNESSES = (
    taken_back,
    attended,
    music_on_hold,
    spoken,
    blind,
    conversation,
    through_forwards,
    apart,
    refused,
    agreed,
)

# A glance at calls, for what has to do with neither transfers nor parking.
CALLS = (conversation, through_forwards, music_on_hold, apart, refused, agreed)

SIP = "/etc/asterisk/sip.conf"
DIALPLAN = "/etc/asterisk/extensions.conf"
FEATURES = "/etc/asterisk/features.conf"
PARKING = "/etc/asterisk/res_parking.conf"
VOICEMAIL = "/etc/asterisk/voicemail.conf"
MUSIC = "/etc/asterisk/musiconhold.conf"
DHCPD = "/etc/dhcp/dhcpd.conf"
DHCPD_CARDS = "/etc/default/isc-dhcp-server"
CARDS = "/etc/network/interfaces"
SSHD = "/etc/ssh/sshd_config"
SOUND_OF_SEVEN = "/usr/share/asterisk/sounds/fr/digits/7.gsm"

SIP_RELOAD = "asterisk -rx 'sip reload'"
RESTART_DHCPD = "systemctl reset-failed isc-dhcp-server; systemctl restart isc-dhcp-server"
EMPTY_MAILBOXES = "rm -f /var/spool/asterisk/voicemail/*/*/INBOX/*"


@dataclass(frozen=True)
class Change:
    """A command that changes files of the appliance, which are put back as they were.

    ``apply`` makes the change count, ``undo`` that it was undone: the same if not given.
    """

    files: tuple[str, ...]
    command: str
    apply: str = "true"
    undo: str = ""


NOTHING = Change((), "true")


def sed(file: str, expression: str, apply: str = "true", undo: str = "") -> Change:
    """What sed(1) changes in a file."""
    return Change((file,), f"sed -i {shlex.quote(expression)} {file}", apply, undo)


@dataclass(frozen=True)
class PhoneFault:
    """What is wrong, and who must see it.

    Of ``played``, exactly ``reds`` fail, the first of them with ``message``. ``scenario``
    turns the subject wrong instead of the appliance, or does to its phones what is needed.
    """

    name: str
    message: str
    reds: tuple[Check, ...]
    change: Change = NOTHING
    played: tuple[Check, ...] = WITNESSES
    scenario: Callable[[Subject], Subject] = field(default=lambda subject: subject)


def without_leases(subject: Subject) -> Subject:
    """The lab's phones are switched off, and give their addresses back."""
    phones = lab_phones(subject).plugged_in(e.number for e in subject.lab.extensions)
    with ThreadPoolExecutor() as pool:
        list(pool.map(Phone.release, [phone for phone in phones if phone.configured]))
    return subject


def wrong_secret(subject: Subject) -> Subject:
    """A secret is mistyped in the last phone that anybody would take."""
    extensions = {**subject.secrets.extensions, "2004": "mistyped"}
    secrets = subject.secrets.model_copy(update={"extensions": extensions})
    return dataclasses.replace(subject, secrets=secrets)


@dataclass(frozen=True)
class Silenced:
    """Phones, one of which has a broken microphone."""

    phones: Phones
    number: str

    def place(self, number: str):
        return self.phones.place(number)

    def phone(self, number: str, folder: Path, *, tone: int, message_light: bool = False):
        said = 0 if number == self.number else tone
        return self.phones.phone(number, folder, tone=said, message_light=message_light)


def silent_phone(subject: Subject) -> Subject:
    """5002 says nothing: in the table below, it has part in one check alone."""
    return dataclasses.replace(subject, phones=Silenced(phones_of(subject), "5002"))


FAULTS = (
    # D3. Nobody else looks at a lease.
    PhoneFault(
        "a range one address longer than the lab file's",
        "an address beyond the range: expected nothing, saw 192.168.100.",
        (full_range,),
        sed(DHCPD, "s/192.168.100.27;/192.168.100.28;/", RESTART_DHCPD),
        (full_range, dhcp, refused),
    ),
    PhoneFault(
        "another lease time",
        "5001's lease time in seconds: expected 600, saw 300",
        (leases,),
        sed(DHCPD, "s/default-lease-time 600/default-lease-time 300/", RESTART_DHCPD),
        (leases, full_range, dhcp, refused),
        without_leases,
    ),
    # A4: a class in one go, before other calls: it waits until their ports are free.
    PhoneFault(
        "no more than nine calls for a phone",
        "calls: expected 10, saw 9",
        (load,),
        sed(SIP, "s/^mailbox=/call-limit=9\\n&/", SIP_RELOAD),
        (load, *CALLS),
    ),
    # A2
    PhoneFault(
        "a mistyped secret",
        "registrations: expected 8, saw 7 403 Forbidden",
        (all_register,),
        # 2004 has a part in none of the others.
        played=(all_register, conversation, music_on_hold, agreed),
        scenario=wrong_secret,
    ),
    # N3, D4, H2, I7. What is wrong in a file counts from the restart on.
    PhoneFault(
        "one of the lab card's addresses is another",
        "addresses that do not answer: expected nothing, saw 192.168.10.1",
        (lab_card,),
        sed(
            CARDS,
            "s/192.168.10.1$/192.168.10.2/",
            undo="ip address flush dev enp0s8; systemctl restart ifup@enp0s8",
        ),
        (lab_card, dhcp, conversation, agreed),
    ),
    PhoneFault(
        "a mistake in the DHCP server's file",
        "isc-dhcp-server: not active again after systemctl restart",
        (dhcp,),
        sed(DHCPD, "1i range", undo=RESTART_DHCPD),
        (full_range, dhcp, conversation, agreed),
    ),
    PhoneFault(
        "a mistake in sshd's file",
        "ssh: not active again after systemctl restart",
        (ssh,),
        sed(SSHD, "1i Wrong", undo="systemctl reset-failed ssh; systemctl restart ssh"),
        (ssh, conversation, agreed),
    ),
    PhoneFault(
        "another secret in Asterisk's file, never reloaded",
        "registrations of 5001: expected 1, saw 0",
        (asterisk,),
        sed(SIP, "/^\\[5001\\]/,/^secret=/s/^secret=.*/secret=another/", undo=SIP_RELOAD),
        (all_register, conversation, agreed, asterisk),
    ),
    # A4
    PhoneFault(
        "a phone rings for 12 seconds",
        "expected to ring for 20 s, rang for 12",
        (unanswered,),
        sed(DIALPLAN, "s/,20,tT/,12,tT/", "asterisk -rx 'dialplan reload'"),
        (unanswered, *WITNESSES),
    ),
    PhoneFault(
        "a phone says nothing",
        "5001: expected to hear 5002 (0 Hz), heard ",
        (conversation,),
        # Those that come later have 5002 play, but need not hear it.
        played=(conversation, attended, spoken, music_on_hold, agreed, refused, apart),
        scenario=silent_phone,
    ),
    PhoneFault(
        "one context leads into the other",
        "rings when 200",
        (apart,),
        sed(DIALPLAN, "/^\\[dakar\\]/a include => ISI_KM", "asterisk -rx 'dialplan reload'"),
        CALLS,
    ),
    # V4
    PhoneFault(
        "the host's address is another to the appliance",
        "expected to hear",
        (through_forwards,),
        sed(SIP, "s/^externaddr=127.0.0.1/externaddr=127.0.0.9/", SIP_RELOAD),
        CALLS,
    ),
    # A9
    PhoneFault(
        "English prompts",
        "expected the prompt pbx-invalid, heard sound that is",
        (spoken,),
        sed(SIP, "s/^language=fr/language=en/", SIP_RELOAD),
        (unanswered, *WITNESSES),
    ),
    # A5
    PhoneFault(
        "a mailbox has another PIN",
        "expected the prompt vm-youhave, heard sound that is",
        (message,),
        sed(
            VOICEMAIL,
            "s/^\\(5...\\) => [0-9]*/\\1 => 9753/",
            "asterisk -rx 'voicemail reload'",
            f"{EMPTY_MAILBOXES}; asterisk -rx 'voicemail reload'",
        ),
        (message, unanswered, *WITNESSES),
    ),
    PhoneFault(
        "no phone is told of messages",
        " is refused notices of its messages",
        (message,),
        sed(SIP, "s/^mailbox=/;&/", SIP_RELOAD, f"{EMPTY_MAILBOXES}; {SIP_RELOAD}"),
        (message, unanswered, *WITNESSES),
    ),
    # A6, A8, A10
    PhoneFault(
        "a call stays parked for twenty seconds",
        "expected the call back after 45 s, it rang after 2",
        (comes_back,),
        sed(
            PARKING,
            "s/parkingtime => 45/parkingtime => 20/",
            "asterisk -rx 'module reload res_parking.so'",
        ),
        (comes_back, *WITNESSES),
    ),
    PhoneFault(
        "no French word for seven, which every slot begins with",
        "fr/digits/7.gsm: ",
        (taken_back,),
        Change((SOUND_OF_SEVEN,), f"rm {SOUND_OF_SEVEN}"),
    ),
    PhoneFault(
        "another key for attended transfers",
        " is not called after 10 s",
        (attended,),
        sed(FEATURES, "s/^atxfer => [*]/atxfer => 9/", "asterisk -rx 'module reload features'"),
    ),
    PhoneFault(
        "only who was called may transfer",
        " is not called after 10 s",
        (attended,),
        sed(DIALPLAN, "s/,20,tT/,20,t/", "asterisk -rx 'dialplan reload'"),
    ),
    PhoneFault(
        "only who calls may transfer",
        " is not called after 10 s",
        (blind, taken_back),
        sed(DIALPLAN, "s/,20,tT/,20,T/", "asterisk -rx 'dialplan reload'"),
    ),
    # Whoever parks a call presses the same key: parking cannot be seen without it.
    PhoneFault(
        "another key for blind transfers",
        " is not called after 10 s",
        (blind, taken_back, comes_back),
        sed(FEATURES, "s/^blindxfer => #/blindxfer => 9/", "asterisk -rx 'module reload features'"),
        (comes_back, *WITNESSES),
    ),
    PhoneFault(
        "other music on hold",
        "expected the music of /var/lib/asterisk/moh, heard sound that is",
        (music_on_hold,),
        sed(
            MUSIC,
            "s,^directory=.*,directory=/usr/share/asterisk/sounds/en,",
            "asterisk -rx 'moh reload'",
        ),
    ),
    # A2, A1
    PhoneFault(
        "guests may call",
        "a guest: expected 403 Forbidden, saw 404 Not Found",
        (refused,),
        sed(SIP, "s/^allowguest=no/allowguest=yes/", SIP_RELOAD),
        CALLS,
    ),
    PhoneFault(
        "no video",
        "video: expected H264, saw nothing",
        (agreed,),
        sed(SIP, "s/^videosupport=yes/videosupport=no/", SIP_RELOAD),
        CALLS,
    ),
    PhoneFault(
        "one codec more",
        "audio: expected PCMU telephone-event, saw PCMA PCMU telephone-event",
        (agreed,),
        sed(SIP, "s/^allow=ulaw/&\\nallow=alaw/", SIP_RELOAD),
        CALLS,
    ),
    # H1; more of them in test_appliance_boot.py
    PhoneFault(
        "nobody gets in by a password",
        "etudiant with the password: expected let in (etudiant), saw refused",
        (logins,),
        sed(
            SSHD,
            "s/^PasswordAuthentication .*/PasswordAuthentication no/",
            "systemctl restart ssh",
        ),
        (logins, refused, agreed),
    ),
    # D1, the last: what adapter 1 saw once, it has seen.
    PhoneFault(
        "the DHCP server serves adapter 1, too",
        "DHCP servers on adapter 1 beside the NAT's: expected nothing, saw 10.0.2.15",
        (nothing_offered,),
        Change(
            (DHCPD, DHCPD_CARDS),
            f"""sed -i 's/"enp0s8"/"enp0s3 enp0s8"/' {DHCPD_CARDS}; """
            "echo 'subnet 10.0.2.0 netmask 255.255.255.0 "
            f"{{ range 10.0.2.100 10.0.2.109; ping-check false; }}' >>{DHCPD}",
            RESTART_DHCPD,
        ),
        (nothing_offered, dhcp, conversation, agreed),
    ),
)
