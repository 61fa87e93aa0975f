"""Rows A1, A2, A5, A9 and A10: chan_sip, its phones, their secrets, the prompts and the modules."""

from __future__ import annotations

import hashlib

from toiplab.exam import asterisk_readings as readings
from toiplab.exam.readings import checksums
from toiplab.exam.registry import Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.lab.model import SIP_PORT, Extension

SOUNDS = "/usr/share/asterisk/sounds"
ENGLISH = "en"
# What a caller hears of rows A4 to A6: an unknown number, voicemail, a parking slot.
PROMPTS = ("pbx-invalid", "vm-login", "vm-password", "vm-isunavail", "vm-intro", "digits/7")
SHIPPED_MODULES = "dpkg -L asterisk-mp3 asterisk-mysql | sed -n 's,.*/,,; /[.]so$/p' | sort"
SIP_CONF, VOICEMAIL_CONF = "/etc/asterisk/sip.conf", "/etc/asterisk/voicemail.conf"
# They hold secrets.
FOR_ASTERISK_ALONE = "640 asterisk:asterisk"
# No secret may land in the serial log; the phones' make it too long to guess a PIN of four
# digits from its digest.
SECRETS_DIGEST = (
    f"{{ grep -hE '^secret=' {SIP_CONF}; grep -hoE '^[0-9]+ => [0-9]+' {VOICEMAIL_CONF}; }}"
    " | sha256sum"
)
YES_NO = {True: "Yes", False: "No"}


@check("A1", "chan_sip runs with the lab's general settings")
def general(subject: Subject) -> str:
    """As ``sip show settings`` tells; which header carries the identity, only the file says."""
    sip, nat = subject.lab.sip, subject.lab.networks.nat
    shown, rpid = subject.ask(
        "asterisk -rx 'sip show settings'", "grep -E '^sendrpid' /etc/asterisk/sip.conf"
    )
    running = readings.settings(shown)
    codecs = readings.codecs(running.get("Codecs", ""))
    agree(
        Fact("UDP Bindaddress", f"0.0.0.0:{SIP_PORT}", running.get("UDP Bindaddress")),
        Fact("Codecs", (*sip.codecs, *sip.video_codecs), codecs),
        Fact("Videosupport", YES_NO[bool(sip.video_codecs)], running.get("Videosupport")),
        Fact("Language", sip.language, running.get("Language")),
        Fact("DTMF", sip.dtmf_mode, running.get("DTMF")),
        Fact("MOH Interpret", "default", running.get("MOH Interpret")),
        Fact("MOH Suggest", "default", running.get("MOH Suggest")),
        Fact("Send RPID", YES_NO[sip.send_rpid != "no"], running.get("Send RPID")),
        Fact("sendrpid in sip.conf", sip.send_rpid, rpid.partition("=")[2].strip()),
        Fact("Allow unknown access", "No", running.get("Allow unknown access")),
        Fact("Always auth rejects", "Yes", running.get("Always auth rejects")),
        Fact("Externaddr", f"{nat.advertised}:{nat.sip}", running.get("Externaddr")),
    )
    return f"{running['Codecs']}, {sip.language}, {sip.dtmf_mode}, no guests"


@check("V4", "sound uses exactly the ports that are forwarded")
def rtp_ports(subject: Subject) -> str:
    """Asterisk takes two of these ports for every phone of a call (RFC 3550, section 11)."""
    rtp = subject.lab.networks.nat.rtp
    running = readings.settings(subject.asterisk_one("rtp show settings"))
    agree(
        Fact("Port start", str(rtp.first), running.get("Port start")),
        Fact("Port end", str(rtp.last), running.get("Port end")),
    )
    return f"{rtp}/udp"


@check("A2", "the lab's phones, and no other, are peers in their contexts")
def phones(subject: Subject) -> str:
    """Every peer as ``sip show peer`` tells, and who may read their secrets."""
    extensions = subject.lab.extensions
    readable = subject.ask_one(f"stat -c '%a %U:%G' {SIP_CONF}")
    listed, *shown = subject.asterisk(
        "sip show peers", *(f"sip show peer {extension.number}" for extension in extensions)
    )
    facts = [Fact("peers", {e.number for e in extensions}, set(readings.peers(listed)))]
    contexts = _contexts(subject)
    for extension, text in zip(extensions, shown, strict=True):
        facts += _peer(extension, contexts[extension.number], readings.settings(text))
    agree(*facts, Fact(SIP_CONF, FOR_ASTERISK_ALONE, readable.strip()))
    return ", ".join(f"{number} in {context}" for number, context in contexts.items())


def _peer(extension: Extension, context: str, peer: dict[str, str]) -> list[Fact]:
    number = extension.number
    return [
        Fact(f"{number}: secret", "<Set>", peer.get("Secret")),
        Fact(f"{number}: dynamic", "Yes", peer.get("Dynamic")),
        Fact(f"{number}: context", context, peer.get("Context")),
        Fact(f"{number}: callerid", f'"{extension.name}" <{number}>', peer.get("Callerid")),
        Fact(f"{number}: mailbox", f"{number}@{context}", peer.get("Mailbox")),
    ]


@check("A5", "the PINs are the lab's, and only Asterisk reads them")
def pins(subject: Subject) -> str:
    """By a digest of them together with the phones' secrets, made in the guest and here."""
    secrets = subject.secrets
    numbers = [extension.number for extension in subject.lab.extensions]
    lines = [f"secret={secrets.extensions[number]}\n" for number in numbers]
    lines += [f"{number} => {secrets.mailboxes[number]}\n" for number in numbers]
    wanted = hashlib.sha256("".join(lines).encode()).hexdigest()
    readable, digest = subject.ask(f"stat -c '%a %U:%G' {VOICEMAIL_CONF}", SECRETS_DIGEST)
    agree(
        Fact(VOICEMAIL_CONF, FOR_ASTERISK_ALONE, readable.strip()),
        Fact("secrets and PINs are the lab's", True, digest.split()[:1] == [wanted]),
    )
    return f"{len(numbers)} PINs, {FOR_ASTERISK_ALONE}"


@check("A9", "the prompts are those of the lab's language")
def prompts(subject: Subject) -> str:
    """The language of the calls, and that its files are there and are not the English ones."""
    language = subject.lab.sip.language
    settings, own, english = subject.ask(
        "asterisk -rx 'sip show settings'",
        *(f"cd {SOUNDS}/{name} && md5sum {_globs()}" for name in (language, ENGLISH)),
    )
    there, other = _prompts(own), _prompts(english)
    same = [name for name in PROMPTS if name in there and there[name] == other.get(name)]
    agree(
        Fact("Language", language, readings.settings(settings).get("Language")),
        Fact(f"{language} prompts missing", [], [name for name in PROMPTS if name not in there]),
        Fact(f"{language} prompts that are the English ones", [], same * (language != ENGLISH)),
    )
    return f"language {language}, {', '.join(PROMPTS)} are there"


@check("A10", "MP3 music on hold and the MySQL modules run, calls are recorded")
def modules(subject: Subject) -> str:
    """The modules are those that the two packages ship."""
    shipped, shown, music, cdr = subject.ask(
        SHIPPED_MODULES,
        f'for so in $({SHIPPED_MODULES}); do asterisk -rx "module show like $so"; done',
        "asterisk -rx 'moh show files'",
        "asterisk -rx 'cdr show status'",
    )
    wanted = shipped.split()
    running = readings.modules(shown)
    playing = readings.music(music)
    backend = "mysql" if subject.lab.cdr == "mysql" else "csv"
    agree(
        Fact("format_mp3.so among them", True, "format_mp3.so" in wanted),
        Fact("modules not running", [], [name for name in wanted if not running.get(name)]),
        Fact("music on hold", True, bool(playing)),
        Fact(f"call records go to {backend}", True, backend in readings.cdr_backends(cdr)),
    )
    if subject.lab.cdr == "mysql":
        table = subject.ask_one("runuser -u asterisk -- mysql -BNe 'SHOW TABLES' asterisk")
        agree(Fact("table of call records", "cdr", table.strip()))
    return f"{' '.join(wanted)}; music {' '.join(sorted(playing))}; calls to {backend}"


def _contexts(subject: Subject) -> dict[str, str]:
    """The context of each extension's number."""
    return {
        extension.number: name
        for name, context in subject.lab.contexts.items()
        for extension in context.extensions
    }


def _globs() -> str:
    return " ".join(f"{name}.*" for name in PROMPTS)


def _prompts(output: str) -> dict[str, str]:
    """Each prompt there is, without its suffix, with its MD5."""
    return {path.rpartition(".")[0]: digest for path, digest in checksums(output).items()}


CHECKS = (general, rtp_ports, phones, pins, prompts, modules)
