"""A real softphone, baresip(1), that speaks with one tone and keeps what it hears.

with Baresip(fatou, tone=440, folder=logs) as phone, Baresip(ibrahima, tone=620, …) as other:
    phone.register()
    other.register()
    phone.call("5002")
    other.wait_for_call()
    other.answer()
    phone.wait_established()
    assert phone.listen(2).heard([620]).ratio(620) > 0.9
    phone.hang_up()
    other.wait_closed()
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from toiplab import files, host
from toiplab.machine.waiting import Deadline
from toiplab.phones.control import Control, Event, socket_there
from toiplab.phones.handset import (
    LOOPBACK,
    Account,
    PhoneBrokenError,
    PhoneError,
    Runner,
    on_the_host,
)
from toiplab.phones.ports import free_ports
from toiplab.phones.sound import Recording, write_tone

MODULES = "/usr/lib/baresip/modules"
# Below Linux's ephemeral ports; baresip itself tries at random until it has a pair that is free.
RTP_PORTS = "20000-32000"
TONE_SECONDS = 180  # longer than any call; baresip falls silent at the end of its file
REGISTRATION_SECONDS = 600
START_SECONDS = 10.0
END_SECONDS = 2.0
REGISTER_SECONDS = 10.0
SIGNAL_SECONDS = 10.0  # for what the other side does at once
LIGHT_SECONDS = 45.0
PAUSE_SECONDS = 0.02
GRACE_SECONDS = 1.0  # the first packets may be late; what is heard is counted in samples
OVER = ("CALL_CLOSED",)
# What baresip says when a subscription has ended.
NO_NOTICES = re.compile(r"mwi: subscription for .* closed: +(.*)")
WAV_HEADER = 44  # bytes; a shorter file was begun this moment
VOICE_MESSAGES = re.compile(r"Voice-Message: *(\d+)/", re.IGNORECASE)  # RFC 3842 section 5.2

CONFIG = """\
sip_listen {address}:{sip_port}
net_interface {address}
rtp_ports {rtp_ports}
rtcp_mux no
call_max_calls 4
audio_source aufile,{tone}
audio_player aubridge,nobody
audio_alert aubridge,nobody
ausrc_srate 8000
auplay_srate 8000
module_path {modules}
module g711.so
module sndfile.so
module aubridge.so
module aufile.so
module_app menu.so
module_app mwi.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control_port}
snd_path {recordings}
ringback_disabled yes
menu_bell no
statmode_default off
"""


class Baresip:
    """One phone, switched on inside a ``with`` block; a ``Handset``.

    It listens at ``address``, on a SIP port of its own unless one is given. Its recordings
    and what the program says stay in ``folder``. ``runner`` says where it stands. Its
    secret is told over the control connection, and is in no file.

    With ``message_light`` it subscribes to notices of messages (RFC 3842).

    The program ends when the thread that started it does (prctl(2), PR_SET_PDEATHSIG), so
    start phones from one that lasts.
    """

    def __init__(
        self,
        account: Account,
        *,
        tone: int,
        folder: Path,
        message_light: bool = False,
        address: IPv4Address = LOOPBACK,
        sip_port: int = 0,
        runner: Runner = on_the_host,
    ) -> None:
        self.account = account
        self.number = account.number
        self.tone = tone
        self.folder = folder.resolve()
        self.message_light = message_light
        self.address = address
        port, self._control_port = free_ports()
        self.sip_port = sip_port or port
        self.log = self.folder / f"{account.number}.log"
        self._runner = runner
        self._begun = 0  # events before that belong to earlier calls
        self._calls = 0
        self._ended = ExitStack()

    @property
    def uri(self) -> str:
        """Where other phones call it directly."""
        return f"sip:{self.number}@{self.address}:{self.sip_port}"

    def __enter__(self) -> Self:
        host.require("baresip", "setpriv")
        self._recordings = self.folder / self.number
        self._recordings.mkdir(parents=True, exist_ok=True)
        for old in self._recordings.glob("*dump-*.wav"):
            old.unlink()
        with ExitStack() as undo:
            self._start(undo)
            self._ended = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.close()

    def register(self, within: float = REGISTER_SECONDS) -> None:
        """Wait until the server has let the phone in, and a message light's phone has its notices.

        Raises:
            PhoneError: it was refused; the message has the server's words.
        """
        self._wait("registered", within, "REGISTER_OK", trouble=("REGISTER_FAIL",), since=0)
        if self.message_light:
            self._wait_for_notices(within)

    def call(self, number: str) -> None:
        """Dial a number, or a whole SIP address."""
        self._begin(self._control.count)
        uri = number if number.startswith("sip:") else self.account.address_of(number)
        self._control.command("dial", uri)

    def wait_ringing(self, within: float = SIGNAL_SECONDS) -> float:
        """Wait until the other side rings; when it did (monotonic clock)."""
        return self._wait("ringing there", within, "CALL_RINGING", "CALL_PROGRESS").at

    def wait_for_call(self, within: float = SIGNAL_SECONDS) -> float:
        """Wait until somebody calls; when it rang (monotonic clock)."""
        rung = self._wait("called", within, "CALL_INCOMING", trouble=())
        self._begin(self._control.events().index(rung) + 1)
        return rung.at

    def answer(self) -> None:
        """Take the call that rings, and wait until it stands."""
        self._control.command("accept")
        self.wait_established()

    def wait_established(self, within: float = SIGNAL_SECONDS) -> float:
        """Wait until the call stands; when it did (monotonic clock)."""
        return self._wait("in a call", within, "CALL_ESTABLISHED").at

    def wait_closed(self, within: float = SIGNAL_SECONDS) -> str:
        """Wait until the call is over; why, in baresip's or the server's words."""
        return self._wait("rid of its call", within, *OVER, trouble=()).detail

    def press(self, digits: str) -> None:
        """Press keys during a call: RFC 4733 events (formerly RFC 2833)."""
        self._control.command("sndcode", digits)

    def hang_up(self) -> None:
        """End the call, or refuse the one that rings."""
        self._control.command("hangup")

    def wait_message_light(self, at_least: int = 1, within: float = LIGHT_SECONDS) -> int:
        """Wait until the phone was told of so many new messages (RFC 3842); how many they are.

        chan_sip sends every notice of a subscription with the branch of the first, so that a
        phone takes the next one for the same again while it remembers that transaction, for
        half a minute (RFC 3261 section 17.2.2, timer J).
        """

        def enough() -> int | None:
            new = self._new_messages()
            return new if new >= at_least else None

        told = self._control.wait(enough, within)
        if told is None:
            self._rest(PAUSE_SECONDS)
            raise PhoneError(
                f"{self.number}: after {within:g} s it was not told of {at_least} new messages, "
                f"but of {self._new_messages()}"
            )
        return told

    def listen(self, seconds: float) -> Recording:
        """What is heard in the next seconds; shorter where less sound arrives."""
        before = self.recording().seconds

        def enough() -> Recording | None:
            heard = self.recording().since(before)
            return heard.until(seconds) if heard.seconds >= seconds else None

        deadline = Deadline.within(seconds + GRACE_SECONDS)
        while (heard := enough()) is None and not deadline.passed:
            self._rest(deadline.remaining)
        return heard or self.recording().since(before)

    def recording(self) -> Recording:
        """All that was heard since this phone last dialled or was called."""
        return Recording.join(
            Recording.read(path)
            for path in sorted(self._recordings.glob("dump-*-dec.wav"))
            if path.stat().st_size > WAV_HEADER
        )

    def _start(self, undo: ExitStack) -> None:
        """Start the program; whatever was made is undone by ``undo``."""
        voice = self.folder / f"tone-{self.tone}.wav"
        if not voice.exists():
            write_tone(voice, self.tone, TONE_SECONDS)
        with tempfile.TemporaryDirectory(prefix="phone-") as settings:  # mode 0700
            config = CONFIG.format(
                address=self.address,
                sip_port=self.sip_port,
                rtp_ports=RTP_PORTS,
                tone=voice,
                modules=MODULES,
                control_port=self._control_port,
                recordings=self._recordings,
            )
            files.write(Path(settings) / "config", config.encode(), mode=0o600)
            self._process = self._spawn(["baresip", "-4", "-f", settings])
            undo.callback(self._stop)
            self._control = Control(self._connection())
            undo.callback(self._control.close)
        # Not from a file of accounts: what becomes of it would be told before anybody listens, and
        # mwi.so of 1.0.0 subscribes for ever for an account registered in its first millisecond.
        self._control.command("uanew", self._account_line())

    def _account_line(self) -> str:
        """The account as baresip's file of accounts would have it."""
        if self.account.server is None:
            return f"<{self.uri}>;regint=0;mwi=no"
        address = self.account.address_of(self.number)
        secret = f'auth_pass="{self.account.secret}"' if self.account.secret else ""
        light = "mwi=yes" if self.message_light else "mwi=no"
        return f"<{address}>;{secret};regint={REGISTRATION_SECONDS};{light}"

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        # Set where the phone stands: entering a user namespace would undo it.
        words = self._runner(["setpriv", "--pdeathsig", "KILL", "--", *argv])
        with self.log.open("wb") as messages:
            messages.write(f"$ {shlex.join(words)}\n".encode())
            messages.flush()
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                start_new_session=True,
            )

    def _connection(self) -> socket.socket:
        """The control connection, once the program listens."""
        connection = socket_there(self._runner)
        deadline = Deadline.within(START_SECONDS)
        while True:
            try:
                connection.connect((str(LOOPBACK), self._control_port))
            except ConnectionRefusedError:
                if deadline.passed:
                    connection.close()
                    raise PhoneBrokenError(
                        f"{self.number}: baresip does not listen after {START_SECONDS:g} s\n"
                        f"  log: {self.log}"
                    ) from None
                self._rest(PAUSE_SECONDS)
            else:
                return connection

    def _stop(self) -> None:
        """Ask the program to end, which takes back the registration; else kill it."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _begin(self, event: int) -> None:
        """What was told before that event, and recorded till now, belongs to earlier calls.

        Their recordings get a number before their names: baresip's own tell the second, in
        which a second call may begin.
        """
        self._begun = event
        self._calls += 1
        for recording in self._recordings.glob("dump-*.wav"):
            recording.rename(recording.with_name(f"{self._calls - 1}-{recording.name}"))

    def _wait(
        self,
        what: str,
        within: float,
        *wanted: str,
        trouble: tuple[str, ...] = OVER,
        since: int | None = None,
    ) -> Event:
        """Wait for one of the wanted events of this call; another that rules it out ends the wait.

        Raises:
            PhoneError: it did not come; the message has what came instead.
            PhoneBrokenError: the program has ended.
        """
        first = self._begun if since is None else since

        def look() -> Event | None:
            told = self._control.events(first)
            return next((event for event in told if event.type in (*wanted, *trouble)), None)

        found = self._control.wait(look, within)
        if found is not None and found.type in wanted:
            return found
        if found is not None:
            raise PhoneError(f"{self.number} is not {what}: {found.detail or found.type}")
        self._rest(PAUSE_SECONDS)
        told = " ".join(event.type for event in self._control.events(first)) or "nothing"
        raise PhoneError(f"{self.number} is not {what} after {within:g} s; seen: {told}")

    def _rest(self, seconds: float) -> None:
        """Wait a moment, or until the program ends.

        Raises:
            PhoneBrokenError: it has ended.
        """
        try:
            status = self._process.wait(min(PAUSE_SECONDS, seconds))
        except subprocess.TimeoutExpired:
            return
        raise PhoneBrokenError(
            f"{self.number}: baresip ended with status {status}\n{host.tail(self.log)}\n"
            f"  log: {self.log}"
        )

    def _said(self) -> str:
        """What the program has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _wait_for_notices(self, within: float) -> None:
        """Wait for the first notice, which follows a subscription at once (RFC 6665 section 4.2.1).

        Raises:
            PhoneError: the subscription is refused, or brings none.
        """
        deadline = Deadline.within(within)
        while not self._notices():
            if refused := NO_NOTICES.search(self._said()):
                raise PhoneError(f"{self.number} is refused notices of its messages: {refused[1]}")
            if deadline.passed:
                raise PhoneError(f"{self.number} has no notice of its messages after {within:g} s")
            self._rest(deadline.remaining)

    def _notices(self) -> list[str]:
        """The notices of messages that have come (RFC 3842 section 5.2)."""
        return [event.detail for event in self._control.events() if "MWI" in event.type]

    def _new_messages(self) -> int:
        """How many new messages the last notice tells of."""
        notices = self._notices()
        counted = VOICE_MESSAGES.search(notices[-1]) if notices else None
        return int(counted[1]) if counted else 0
