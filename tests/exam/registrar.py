"""A small SIP server on loopback that sipsak can be let loose on."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from dataclasses import dataclass, field

NONCE = "4f2a9c10"
NOTIFIER = "Contact: <sip:notices@127.0.0.1>"


@dataclass
class Registrar:
    """Answers OPTIONS, and by digest (RFC 2617, without qop) REGISTER and SUBSCRIBE.

    ``lets_all_in`` is a server that checks nothing; ``unknown`` is what it says to a
    number it does not know, and ``subscriptions`` to one that asks for notices of messages; after
    "200 OK" the first notice follows.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    server: str = "Asterisk PBX 16.28.0~dfsg-0+deb11u4"
    options: str = "200 OK"
    unknown: str = "403 Forbidden"
    subscriptions: str = "404 Not Found (no mailbox)"
    lets_all_in: bool = False
    contacts: dict[str, str] = field(default_factory=dict)
    let_in: set[str] = field(default_factory=set)

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(65535)
            if not data:
                return
            request = data.decode()
            if request.startswith("SIP/2.0"):  # what a phone says to a notice
                continue
            answer = self._answer(request)
            self._socket.sendto(answer.encode(), peer)
            if request.startswith("SUBSCRIBE") and answer.startswith("SIP/2.0 200"):
                self._socket.sendto(_notice(answer, request).encode(), peer)

    def _answer(self, request: str) -> str:
        method = request.split(" ", 1)[0]
        status = self.options if method == "OPTIONS" else self._let_in(method, request)
        kept = [
            line for line in request.splitlines() if line.startswith(("Via:", "From:", "Call-ID:"))
        ]
        kept += [f"{line};tag=1" for line in request.splitlines() if line.startswith("To:")]
        kept += [line for line in request.splitlines() if line.startswith("CSeq:")]
        kept += [f"Server: {self.server}"]
        if method == "SUBSCRIBE":
            kept += [NOTIFIER, "Expires: 600"]
        if status.startswith("401"):
            kept += [f'WWW-Authenticate: Digest algorithm=MD5, realm="asterisk", nonce="{NONCE}"']
        return "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])

    def _let_in(self, method: str, request: str) -> str:
        given = dict(re.findall(r'(\w+)="([^"]*)"', request.partition("Authorization:")[2]))
        if not given:
            return "401 Unauthorized"
        number = given["username"]
        if number not in self.secrets and not self.lets_all_in:
            return self.unknown
        first = _md5(f"{number}:asterisk:{self.secrets.get(number, '')}")
        second = _md5(f"{method}:{given['uri']}")
        if given["response"] != _md5(f"{first}:{NONCE}:{second}") and not self.lets_all_in:
            return "403 Forbidden"
        if method == "SUBSCRIBE":
            return self.subscriptions
        self.let_in.add(number)
        contact = re.search(r"^Contact: (.*?)\r?$", request, re.MULTILINE)
        if contact and (contact[1] == "*" or re.search(r"^Expires: 0\b", request, re.MULTILINE)):
            self.contacts.pop(number, None)
        elif contact:
            self.contacts[number] = contact[1]
        return "200 OK"


def _notice(answer: str, request: str) -> str:
    """No messages (RFC 3842), in the dialog that the answer has begun (RFC 6665 section 4.2.1)."""
    said = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
    contact = re.search(r"^Contact: .*<(.*?)>", request, re.MULTILINE)
    body = "Messages-Waiting: no\r\nVoice-Message: 0/0 (0/0)\r\n"
    return "\r\n".join(
        [
            f"NOTIFY {contact[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{said['Call-ID']};rport",
            f"From: {said['To']}",
            f"To: {said['From']}",
            f"Call-ID: {said['Call-ID']}",
            "CSeq: 1 NOTIFY",
            NOTIFIER,
            "Max-Forwards: 70",
            "Event: message-summary",
            "Subscription-State: active;expires=600",
            "Content-Type: application/simple-message-summary",
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
