"""SIP from outside, through the NAT forward, as a softphone on the host would (rows V4, A2)."""

from __future__ import annotations

from toiplab.errors import ToipLabError
from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.subject import Subject
from toiplab.machine.ports import reached_at
from toiplab.phones import sipsak

ACCEPTED, REFUSED = "200 OK", "403 Forbidden"


@check("V4", "OPTIONS is answered through the SIP forward")
def options(subject: Subject) -> str:
    """The server is there, and is the release's Asterisk."""
    answer = _server(subject).options()
    if not answer.accepted:
        raise CheckFailedError(f"OPTIONS: expected 200 OK, saw {answer}")
    version = subject.release.asterisk
    if version not in answer.server:
        raise CheckFailedError(
            f"Server: expected Asterisk {version}, saw {answer.server or 'nothing'}"
        )
    return f"{answer}, {answer.server}"


@check("A2", "REGISTER: the right secrets are let in, a wrong one and an unknown phone are not")
def register(subject: Subject) -> str:
    """Both refusals say the same, so that nobody can find out which numbers exist.

    Raises:
        ToipLabError: every phone's secret is longer than sipsak takes.
    """
    server, secrets = _server(subject), subject.secrets.extensions
    numbers = [extension.number for extension in subject.lab.extensions]
    tried = [n for n in numbers if len(secrets[n]) <= sipsak.LONGEST_SECRET]
    if not tried:
        raise ToipLabError(
            f"every secret is longer than the {sipsak.LONGEST_SECRET} characters sipsak takes",
            hint="give a phone of the lab file a shorter secret",
        )
    right: list[Fact] = []
    for number in tried:
        answer = server.register(number, secrets[number])
        right.append(Fact(f"{number} with its secret", ACCEPTED, str(answer)))
        if not answer.status:
            break  # nobody is there: the other phones would wait as long
    agree(*right)
    number, another = tried[0], _another(secrets[tried[0]])
    wrong, unknown = server.register(number, another), server.register(_unknown(subject), another)
    agree(
        Fact(f"{number} with a wrong secret", REFUSED, str(wrong)),
        Fact("an unknown phone", REFUSED, str(unknown)),
    )
    skipped = [n for n in numbers if n not in tried]
    return "; ".join(
        [
            f"{' '.join(tried)}: {ACCEPTED}",
            f"wrong secret: {wrong}",
            f"unknown phone: {unknown}",
            *([f"secret too long for sipsak: {' '.join(skipped)}"] if skipped else []),
        ]
    )


def _server(subject: Subject) -> sipsak.Server:
    forward = subject.forward("sip")
    return sipsak.Server(reached_at(forward), forward.host_port, subject.logs / "sipsak.log")


def _another(secret: str) -> str:
    """A secret of the same length that is not this one."""
    return ("x" if secret[0] != "x" else "y") + secret[1:]


def _unknown(subject: Subject) -> str:
    """A number of the first phone's length that no phone has."""
    taken = {extension.number for extension in subject.lab.extensions}
    width = len(subject.lab.extensions[0].number)
    return next(number for number in map(str, range(10**width - 1, 0, -1)) if number not in taken)


CHECKS = (options, register)
