"""Programs that end with this process, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

from toiplab import host
from toiplab.host import Finished
from toiplab.machine.waiting import DeadlineError

Stream = IO[bytes] | int | None


class Programs:
    """Starts programs, from any thread, and ends those that still run at ``close``.

    The kernel kills each when the thread that started it ends (prctl(2),
    PR_SET_PDEATHSIG): so one thread that lasts as long as this object starts them all.
    What a program itself puts into the background is not followed.
    """

    def __init__(self) -> None:
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="programs")
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        prefix: Sequence[str] = (),
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = subprocess.DEVNULL,
        stderr: Stream = subprocess.DEVNULL,
        pass_fds: Collection[int] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program and return it; signals sent to it reach the program itself.

        ``prefix`` are words such as nsenter's, which give way to the program by exec(2).

        Raises:
            ToipLabError: the program is not on this machine.
        """
        program = str(argv[0])
        found = host.which(program)
        if found is None:
            host.require(program)
        tied = ["setpriv", "--pdeathsig", "KILL", "--", str(found), *map(str, argv[1:])]

        def spawn() -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [*prefix, *tied],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                env=env,
                cwd=cwd,
                start_new_session=True,  # a terminal's Ctrl-C is for us; we end it
            )
            self._started = [*(p for p in self._started if p.poll() is None), process]
            return process

        return self._starter.submit(spawn).result()

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        prefix: Sequence[str] = (),
        timeout: float = 60,
        given: str = "",
        pass_fds: Collection[int] = (),
    ) -> Finished:
        """Run a program on the input ``given``: its status, and its output, stderr included.

        Raises:
            ToipLabError: the program is not on this machine.
            DeadlineError: it did not end within ``timeout`` seconds; it is killed.
        """
        process = self.start(
            argv,
            prefix=prefix,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
        )
        try:
            output, _ = process.communicate(given.encode() if given else None, timeout)
        except subprocess.TimeoutExpired:
            end(process)
            output, _ = process.communicate()
            said = "".join(f"\n  | {line}" for line in output.decode(errors="replace").splitlines())
            raise DeadlineError(
                f"this did not end within {timeout:g} s: {' '.join(map(str, argv))}{said}"
            ) from None
        except BaseException:
            end(process)
            raise
        return Finished(process.returncode, output.decode(errors="replace"))

    def close(self) -> None:
        """Kill what still runs; nothing can be started any more."""
        self._starter.shutdown(cancel_futures=True)
        for process in self._started:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program, with its process group, and wait until it is gone."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
