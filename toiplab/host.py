"""Finding and running the host's programs.

Every program the project calls that a system may lack is listed, with its Debian package
and what it is for, in ``scripts/system-packages.txt``: the set-up script, the doctor and the
error messages all read that one list.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toiplab.errors import ToipLabError

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES_FILE = PROJECT / "scripts" / "system-packages.txt"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # mke2fs lives there; a user's PATH lacks it
LOG_TAIL_LINES = 12
STOP_GRACE_SECONDS = 15
DISK_FULL = "No space left on device"  # ENOSPC, as programs tell it
MEMORY = Path("/dev", "shm")  # a tmpfs, open to user namespaces
MEMORY_LEFT = 2 << 30  # bytes that are left to everybody else
TEMPORARY = Path("/var/tmp")  # noqa: S108 -- large, on disk, and open to user namespaces


@dataclass(frozen=True)
class Tool:
    """A program of the host (or a file, by its path), its Debian package, and its use here."""

    program: str
    package: str
    purpose: str


def tools(listing: Path = PACKAGES_FILE) -> tuple[Tool, ...]:
    """The programs this project calls, as listed in ``scripts/system-packages.txt``."""
    lines = listing.read_text(encoding="utf-8").splitlines()
    rows = (line.split(maxsplit=2) for line in lines if line and not line.startswith("#"))
    return tuple(Tool(program, package, purpose) for program, package, purpose in rows)


def which(program: str) -> Path | None:
    """The path of a program, looked for in PATH and the sbin folders; None if absent.

    An absolute path is a file that must be there, as in ``scripts/system-packages.txt``.
    """
    if program.startswith("/"):
        return Path(program) if Path(program).exists() else None
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    return Path(found) if found else None


def temporary_folder() -> Path:
    """Where large things are unpacked: TMPDIR if the namespace's root may enter it, else /var/tmp.

    That root is mmdebstrap's: for an ordinary user it is one of the others, to whom the
    folders of a home are closed.
    """
    named = os.environ.get("TMPDIR")
    if named is None:
        return TEMPORARY
    path = Path(named).resolve()
    if os.geteuid() == 0:
        return path
    entered = all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
    return path if entered and path.stat().st_mode & stat.S_IWOTH else TEMPORARY


def same_everywhere(epoch: int) -> dict[str, str]:
    """The part of the environment that packages' scripts may look at, as every build has it.

    ``epoch`` is in seconds since 1970: the time that programs write where they must write one,
    https://reproducible-builds.org/specs/source-date-epoch/.
    """
    return {
        "SOURCE_DATE_EPOCH": str(epoch),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "LANGUAGE": "",
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/sh",
    }


def working_folder(size: int, *, memory: Path = MEMORY) -> Path:
    """Where a system of ``size`` bytes is unpacked: in memory where there is plenty.

    dpkg waits for the disk thousands of times, which memory does not need. A TMPDIR that is
    set is heeded.
    """
    if "TMPDIR" in os.environ or not memory.is_dir():
        return temporary_folder()
    place = os.statvfs(memory)
    room = min(place.f_bavail * place.f_frsize, available_memory() - MEMORY_LEFT)
    fits = room > size and not place.f_flag & os.ST_NOEXEC and os.access(memory, os.W_OK)
    return memory if fits and os.path.ismount(memory) else temporary_folder()


def available_memory() -> int:
    """How many bytes programs may still take without swapping: MemAvailable, proc(5)."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    found = re.search(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def require(*programs: str) -> None:
    """Check that programs are there before anything long starts.

    Raises:
        ToipLabError: naming every missing program and the command that installs them.
    """
    missing = [program for program in programs if which(program) is None]
    if not missing:
        return
    packages = {tool.program: tool.package for tool in tools()}
    wanted = sorted({packages.get(program, program) for program in missing})
    raise ToipLabError(
        f"missing on this machine: {', '.join(missing)}",
        hint=f"install with: apt-get install {' '.join(wanted)}   (or run: make setup)",
    )


@dataclass(frozen=True)
class Finished:
    """What a program that ended left: its exit status and its standard output."""

    status: int
    output: str


def run(
    argv: Sequence[str | Path],
    *,
    log: Path | None = None,
    stdin: IO[bytes] | int | None = subprocess.DEVNULL,
    pass_fds: Collection[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    umask: int = -1,
    check: bool = True,
    well: Collection[int] = (0,),
    hint: str = "",
) -> Finished:
    """Run a program to its end and return what it printed on standard output.

    Its standard error (and, with ``log``, its output too) goes to the log file, which
    the error message names together with its last lines. On an interruption the whole
    process group is asked to stop, then killed, so that nothing stays behind.

    Raises:
        ToipLabError: the program is missing, or (with ``check``) ended with a status that
            is not among ``well``; the message carries a command line that can be pasted.
    """
    words = [str(word) for word in argv]
    program = which(words[0])
    if program is None:
        require(words[0])
    out: IO[bytes] | int = subprocess.PIPE
    log_file: IO[bytes] | None = None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log_file = log.open("ab")
        log_file.write(f"$ {shlex.join(words)}\n".encode())
        log_file.flush()
        out = log_file
    try:
        process = subprocess.Popen(
            [str(program), *words[1:]],
            stdin=stdin,
            pass_fds=pass_fds,
            stdout=out,
            stderr=log_file or subprocess.PIPE,
            env={**os.environ, **env} if env is not None else None,
            cwd=cwd,
            umask=umask,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate()
        except BaseException:
            stop_group(process)
            raise
    finally:
        if log_file is not None:
            log_file.close()
    output = (stdout or b"").decode(errors="replace")
    if check and process.returncode not in well:
        said = (stderr or b"").decode(errors="replace") if log is None else tail(log)
        where = f"\n  log: {log}" if log is not None else ""
        raise ToipLabError(
            f"{words[0]} failed with status {process.returncode}: {shlex.join(words)}\n"
            + "\n".join(f"  | {line}" for line in said.splitlines()[-LOG_TAIL_LINES:])
            + where,
            hint=hint,
        )
    return Finished(process.returncode, output)


def disk_full(what: str, log: Path, place: Path) -> ToipLabError:
    """The error for work that found no room for its result in ``place``."""
    return ToipLabError(
        f"{what}: the disk is full\n  log: {log}",
        hint=f"free some space in {place} and in {temporary_folder()}",
    )


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Stop a process started in its own session, and all it started: ask, then kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=STOP_GRACE_SECONDS if number != signal.SIGKILL else None)
            return
        except subprocess.TimeoutExpired:
            continue


def signal_children_of(thread: int, number: signal.Signals) -> None:
    """Signal the programs that a thread of this process has started: proc(5), children."""
    children = Path(f"/proc/self/task/{thread}/children")
    with suppress(FileNotFoundError):  # the thread has ended
        for child in children.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), number)


def tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a text file; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
