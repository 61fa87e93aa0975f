"""Scripted calls and calls under load, by SIPp(1).

The scenarios are in ``scenarios/``. Secrets go to SIPp in its injection file, which only its
user can read and which is gone when SIPp is; never in its arguments.
"""

from __future__ import annotations

import csv
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jinja2

from toiplab import files, host
from toiplab.errors import ToipLabError
from toiplab.phones.handset import Account, Place
from toiplab.wire.sip import Medium, media_of

SCENARIOS = Path(__file__).parent / "scenarios"
ALL_WELL, SOME_FAILED = 0, 1  # sipp(1), exit codes
# At which message of its scenario SIPp met what.
REFUSAL = re.compile(r"\(index (\d+)\), received 'SIP/2\.0 ([3-6]\d\d [^\r\n]*)")
# The first of those that a SIPp takes: below Linux's ephemeral ports, and those who call and
# those who answer stand apart.
CALLING_PORTS, ANSWERING_PORTS = range(6000, 8000, 40), range(8000, 9900, 40)
NO_SUCH_PORT, TRIES = 254, 5
PATIENCE_SECONDS = 60  # more than 64 times T1, after which SIPp itself gives a call up
CALL_RATE, REGISTER_RATE = 10, 20  # in a second
STOP_SECONDS = 5
REGISTERED_SECONDS = 300


@dataclass(frozen=True)
class Tally:
    """How a scenario went: ``refusal`` is what the server said to the first call that failed.

    ``refused_at`` is which message of the scenario that came instead of.
    ``answer`` has the media that were agreed in the first call that was answered.
    """

    well: int
    failed: int
    seconds: float
    refusal: str = ""
    refused_at: int = 0
    answer: tuple[Medium, ...] = ()

    @property
    def rate(self) -> float:
        """How many went well in a second."""
        return self.well / self.seconds if self.seconds else 0.0

    def medium(self, kind: str) -> Medium | None:
        """What was agreed for ``audio`` or ``video``; None if nothing was said of it."""
        return next((medium for medium in self.answer if medium.kind == kind), None)


@dataclass(frozen=True)
class Sipp:
    """SIPp at a place, against its server; what it says stays in ``folder``."""

    place: Place
    folder: Path

    def register(
        self,
        accounts: Sequence[Account],
        *,
        rate: int = REGISTER_RATE,
        port: int = 0,
    ) -> Tally:
        """Register accounts, ``rate`` in a second.

        Their calls then come to the ``port`` this is done from; 0 leaves the choice to SIPp.
        """
        return self._register(accounts, REGISTERED_SECONDS, rate=rate, port=port)

    def take_back(self, accounts: Sequence[Account]) -> Tally:
        """Take their registrations back (RFC 3261 section 10.2.2)."""
        return self._register(accounts, 0, rate=REGISTER_RATE, port=0)

    def _register(
        self, accounts: Sequence[Account], expires: int, *, rate: int, port: int
    ) -> Tally:
        lines = [(account, account.number) for account in accounts]
        settings = {"expires": expires}
        return self._play("register", settings, lines, rate=rate, port=port)

    def call(
        self,
        calls: Sequence[tuple[Account, str]],
        *,
        seconds: float = 1,
        video: bool = False,
        sound: Path | None = None,
    ) -> Tally:
        """Each account calls a number, speaks for some seconds, and hangs up.

        ``sound`` is a file of mu-law bytes, played over and over.
        """
        settings = {
            "video": video,
            "milliseconds": round(seconds * 1000),
            "sound": sound.resolve() if sound else "",
        }
        return self._play("call", settings, calls, rate=CALL_RATE)

    @contextmanager
    def answering(self, port: int, *, sound: Path) -> Iterator[None]:
        """Answer every call at a port, and speak, for as long as the block lasts.

        ``sound`` is a file of mu-law bytes, played over and over.
        """
        host.require("sipp", "setpriv")
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="sipp-") as name:
            scenario = _scenario(Path(name), "answer", {"sound": sound.resolve()})
            argv = [*self._argv(scenario), "-p", str(port), *_media_port(ANSWERING_PORTS)]
            with (self.folder / "answer.log").open("wb") as log:
                process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            try:
                yield
                if process.poll() is not None:
                    raise ToipLabError(
                        f"sipp ended with status {process.returncode} while it should answer\n"
                        f"  log: {self.folder / 'answer.log'}"
                    )
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _play(
        self,
        name: str,
        settings: Mapping[str, object],
        lines: Sequence[tuple[Account, str]],
        *,
        rate: int,
        port: int = 0,
    ) -> Tally:
        """Run a scenario once for each line.

        Raises:
            ToipLabError: SIPp could not run it; the message names its log.
        """
        host.require("sipp", "setpriv")
        with tempfile.TemporaryDirectory(prefix="sipp-") as folder:
            place = Path(folder)
            injected = "".join(_line(account, called) for account, called in lines)
            files.write(place / "lines.csv", f"SEQUENTIAL\n{injected}".encode(), mode=0o600)
            argv = [
                *self._argv(_scenario(place, name, settings)),
                *("-inf", str(place / "lines.csv"), "-m", str(len(lines))),
                *("-r", str(rate), "-timeout", f"{PATIENCE_SECONDS}s", "-timeout_error"),
                *(("-p", str(port)) if port else ()),
                *("-trace_stat", "-stf", str(place / "stat.csv")),
                *("-trace_err", "-error_file", str(place / "errors.log")),
                *("-trace_logs", "-log_file", str(place / "answers.log")),
                f"{self.place.server}:{self.place.port}",
            ]
            log = self.folder / f"{name}.log"
            for _ in range(TRIES):  # somebody else may have that port
                log.unlink(missing_ok=True)
                status = host.run([*argv, *_media_port(CALLING_PORTS)], log=log, check=False).status
                if status != NO_SUCH_PORT:
                    break
            if status not in (ALL_WELL, SOME_FAILED) or not (place / "stat.csv").exists():
                raise ToipLabError(
                    f"sipp ended with status {status}\n{host.tail(log)}\n  log: {log}"
                )
            return read_tally(
                _read(place / "stat.csv"), _read(place / "errors.log"), _read(place / "answers.log")
            )

    def _argv(self, scenario: Path) -> list[str]:
        own = str(self.place.address)
        quiet = ["-nostdin", "-skip_rlimit", "-i", own, "-mi", own]
        command = ["sipp", "-sf", str(scenario), *quiet]
        return self.place.runner(["setpriv", "--pdeathsig", "KILL", "--", *command])


def read_tally(statistics: str, errors: str, answers: str) -> Tally:
    """What SIPp's statistics (its last line counts all), errors and log actions say."""
    *_, last = csv.DictReader(statistics.splitlines(), delimiter=";")
    refusal = REFUSAL.search(errors)
    return Tally(
        well=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        seconds=_clock(last["CurrentTime"]) - _clock(last["StartTime"]),
        refusal=refusal[2].strip() if refusal else "",
        refused_at=int(refusal[1]) if refusal else 0,
        answer=read_answer(answers),
    )


def read_answer(logged: str) -> tuple[Medium, ...]:
    """The media of the first SDP that a scenario logged."""
    return tuple(media_of(logged.replace("\r", "").split("v=0")[:2][-1]))


def _scenario(folder: Path, name: str, settings: Mapping[str, object]) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SCENARIOS),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    path = folder / f"{name}.xml"
    files.write(path, environment.get_template(f"{name}.xml.j2").render(settings).encode())
    return path


def _line(account: Account, called: str) -> str:
    """A line of the injection file: number, credentials, number to call."""
    credentials = f"[authentication username={account.number} password={account.secret}]"
    return f"{account.number};{credentials};{called}\n"


def _media_port(ports: range) -> tuple[str, str]:
    return "-mp", str(secrets.choice(ports))


def _clock(time: str) -> float:
    """Seconds since 1970, the last of the three ways in which SIPp tells a time."""
    return float(time.rpartition("\t")[2])


def _read(path: Path) -> str:
    """A file's text; empty where SIPp had nothing to say."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
