"""Packer, driven through python-packer: the one place that knows what that library can do.

Its limits, and what is done about them: it waits for Packer's end and hands out nothing
before (so ``sh``, below it, is told to run Packer in the background, its output going into
a pipe); ``build()`` passes an option that Packer has dropped unless ``parallel`` is False;
``validate()`` hides why a template is bad (so that is run without it).
"""

from __future__ import annotations

import os
import re
import select
import selectors
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO, RawIOBase
from pathlib import Path
from typing import IO, Protocol

import packer
import sh

from toiplab import host
from toiplab.builders.packer.installer import Receiver
from toiplab.errors import ToipLabError

VERSION = re.compile(r"Packer v(\d+)\.(\d+)\.(\d+)")
OLDEST = (1, 6, 6)
UNBUNDLED = (1, 10, 0)  # from here on Packer comes without any plugin
TICK_SECONDS = 1.0
POLL_SECONDS = 0.2
CHUNK = 1 << 16
STOP_SECONDS = 90  # Packer switches the machine off and removes it
KILL_SECONDS = 10
QUIET = {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}
INSTALL_HINT = (
    "Debian 12: apt-get install packer; elsewhere: https://developer.hashicorp.com/packer/install"
)


@dataclass(frozen=True)
class Plugin:
    """What current Packer must be given for a builder; ``version`` is the one that the docs name.

    Not tried: where this was written, only a Packer with its builders built in could be had.
    """

    name: str
    version: str


@dataclass(frozen=True)
class Line:
    """One line of Packer's machine-readable output.

    ``kind`` is its type (ui, artifact, error, …), ``words`` what follows; for ui: say,
    message or error, and a text.
    """

    kind: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """What a person would read, without Packer's name for the build before it."""
        text = self.words[-1] if self.words else ""
        return re.sub(r"^(?:==>|   ) \S+: ", "", text).strip()

    @property
    def is_error(self) -> bool:
        """Whether Packer calls it an error."""
        return self.kind == "error" or (self.kind == "ui" and self.words[:1] == ("error",))


def read_line(line: str) -> Line | None:
    """Read ``timestamp,target,type,data…``; None for anything else.

    Format: https://developer.hashicorp.com/packer/docs/commands#machine-readable-output.
    """
    stamp, _, rest = line.partition(",")
    if not stamp.isdigit():
        return None
    _, kind, *words = rest.split(",")
    unescaped = (
        word.replace("%!(PACKER_COMMA)", ",").replace("\\n", "\n").replace("\\r", "")
        for word in words
    )
    return Line(kind, tuple(unescaped))


class Watcher(Protocol):
    """Follows a running build."""

    def line(self, line: Line) -> None:
        """Packer said something."""

    def message(self, message: bytes) -> None:
        """The installer said something."""

    def tick(self) -> None:
        """Time has passed; may raise to end the build."""


@dataclass(frozen=True)
class Packer:
    """A Packer of this machine; ``version`` decides how it gets its builders."""

    program: Path
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"Packer {'.'.join(map(str, self.version))}"

    @classmethod
    def find(cls) -> Packer:
        """The Packer in PATH.

        Raises:
            ToipLabError: there is none, or one too old.
        """
        program = host.which("packer")
        if program is None:
            raise ToipLabError("no Packer on this machine", hint=INSTALL_HINT)
        said = host.run([program, "version"], env=QUIET, check=False).output
        found = VERSION.search(said)
        if found is None:
            raise ToipLabError(
                f"{program}: does not tell a version as Packer does; another program of that name",
                hint=INSTALL_HINT,
            )
        version = (int(found[1]), int(found[2]), int(found[3]))
        if version < OLDEST:
            raise ToipLabError(
                f"{program}: Packer {'.'.join(map(str, version))} is too old", hint=INSTALL_HINT
            )
        return cls(program, version)

    def check_plugin(self, plugin: Plugin) -> None:
        """Check that Packer has a builder's plugin; until 1.9 it brings its own.

        Raises:
            ToipLabError: it has not.
        """
        if self.version < UNBUNDLED:
            return
        said = host.run([self.program, "plugins", "installed"], check=False).output
        if f"/{plugin.name}/" not in said.replace("\\", "/"):  # their files, one a line
            raise ToipLabError(
                f"Packer lacks its plugin {plugin.name}",
                hint=f"packer plugins install {plugin.name} {plugin.version}",
            )

    def validate(self, template: Path, source: str, variables: Path, log: Path) -> None:
        """Let Packer check the template with its variables.

        Raises:
            ToipLabError: it refuses them; with its own words.
        """
        argv: list[str | Path] = [
            self.program,
            "validate",
            f"-only={source}",
            f"-var-file={variables}",
            template,
        ]
        ended = host.run(argv, env=QUIET, log=log, check=False)
        if ended.status != 0:
            lines = (line for line in host.tail(log).splitlines() if line and line[0] != "$")
            said = "\n".join(f"  | {line}" for line in lines)
            raise ToipLabError(f"packer validate refuses {template.name}\n{said}\n  log: {log}")

    def build(
        self,
        template: Path,
        source: str,
        variables: Path,
        *,
        log: Path,
        env: Mapping[str, str],
        receiver: Receiver,
        watcher: Watcher,
    ) -> int:
        """Run ``packer build`` to its end and return its exit status.

        The watcher is told of every line and message; when it raises, or on an interruption,
        Packer is asked to stop, and given the time to clean up, before the exception goes on.
        """
        reading, writing = os.pipe()
        with (
            os.fdopen(reading, "rb", buffering=0) as out,
            os.fdopen(writing, "wb", buffering=0) as into,
            log.open("ab") as kept,
        ):
            client = packer.Packer(
                str(template),
                only=[source],
                var_file=str(variables),
                exec_path=str(self.program),
                out_iter=into,
            )
            client.packer = client.packer.bake(
                _bg=True, _env={**os.environ, **QUIET, **env}, _err_to_out=True, _tty_out=False
            )
            running = client.build(parallel=False, machine_readable=True)
            output = _Output(out, kept, watcher)
            try:
                with selectors.DefaultSelector() as selector:
                    selector.register(out, selectors.EVENT_READ)
                    selector.register(receiver, selectors.EVENT_READ)
                    while running.process.is_alive():
                        ready = {key.fileobj for key, _ in selector.select(TICK_SECONDS)}
                        if out in ready:
                            output.take()
                        for message in receiver.messages():
                            watcher.message(message)
                        watcher.tick()
            except BaseException:
                _stop(running)
                raise
            with suppress(sh.ErrorReturnCode):
                running.wait()  # and with it for the last of the output
            into.close()
            while output.take():
                pass
            return int(running.exit_code)


@dataclass
class _Output:
    """Packer's output, read as it comes: kept in the log, and passed on line by line."""

    source: RawIOBase | FileIO
    log: IO[bytes]
    watcher: Watcher
    rest: bytes = b""

    def take(self) -> bool:
        """Read what is there; False at the end."""
        chunk = self.source.read(CHUNK)
        if not chunk:
            return False
        self.log.write(chunk)
        self.log.flush()
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            if (read := read_line(line.decode(errors="replace"))) is not None:
                self.watcher.line(read)
        return True


def _stop(running: sh.RunningCommand) -> None:
    """Ask Packer to stop as Ctrl-C would; it removes its machine. Kill it if it does not.

    As a terminal would, to the whole group: of Packer's two processes of that name the outer
    one, which is the one started here, does not pass it on.
    """
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        deadline = time.monotonic() + seconds
        with suppress(ProcessLookupError):
            os.killpg(running.process.pid, number)
        while time.monotonic() < deadline:
            if not running.process.is_alive():
                return
            select.select([], [], [], POLL_SECONDS)
