"""SIP from outside, through the NAT forward, as a softphone on the host would (rows V4, A2)."""

from __future__ import annotations

from toiplab.exam.registry import CheckFailedError, Fact, agree, check
from toiplab.exam.ssh import LOOPBACK
from toiplab.exam.subject import Subject
from toiplab.lab.model import Extension
from toiplab.phones import sipsak


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


@check("A2", "REGISTER: the right secret is let in, a wrong one and an unknown phone are not")
def register(subject: Subject) -> str:
    """Both refusals say the same, so that nobody can find out which numbers exist."""
    server, extension = _server(subject), _examined(subject)
    number, secret = extension.number, subject.secrets.extensions[extension.number]
    right = server.register(number, secret)
    wrong = server.register(number, _another(secret))
    unknown = server.register(_unknown(subject), _another(secret))
    agree(
        Fact(f"{number} with its secret", "200 OK", str(right)),
        Fact(f"{number} with a wrong secret", "403 Forbidden", str(wrong)),
        Fact("an unknown phone", "403 Forbidden", str(unknown)),
    )
    return f"{number}: {right}; wrong secret: {wrong}; unknown phone: {unknown}"


def _server(subject: Subject) -> sipsak.Server:
    forward = subject.forward("sip")
    address = LOOPBACK if forward.host_address.is_unspecified else forward.host_address
    return sipsak.Server(address, forward.host_port, subject.logs / "sipsak.log")


def _examined(subject: Subject) -> Extension:
    """The phone with the shortest secret, for sipsak takes no long ones."""
    return min(subject.lab.extensions, key=lambda e: len(subject.secrets.extensions[e.number]))


def _another(secret: str) -> str:
    """A secret of the same length that is not this one."""
    return ("x" if secret[0] != "x" else "y") + secret[1:]


def _unknown(subject: Subject) -> str:
    """A number of the first phone's length that no phone has."""
    taken = {extension.number for extension in subject.lab.extensions}
    width = len(subject.lab.extensions[0].number)
    return next(number for number in map(str, range(10**width - 1, 0, -1)) if number not in taken)


CHECKS = (options, register)
