"""What the lab network needs of the host, looked at before anything is started."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError
from toiplab.machine.lan.namespaces import Namespace, unshare_options
from toiplab.machine.lan.programs import Programs

PROGRAMS = ("ip", "unshare", "nsenter", "setpriv", "busybox")
TUN = Path("/dev/net/tun")
WITHOUT = "what needs no phones on the lab network can be run: invoke smoke --nat-only"
KINDS = {"bridge": "type bridge", "veth": "type veth peer name other"}


def check() -> None:
    """Check that a lab network can be made here, as this user.

    Raises:
        ToipLabError: naming all that is missing, what would mend it, and what can be run
            without it.
    """
    lacks = list(_missing())
    if lacks:
        raise ToipLabError(
            "there can be no lab network here:\n" + "\n".join(f"  - {lack}" for lack in lacks),
            hint=WITHOUT,
        )


def _missing() -> Iterator[str]:
    try:
        host.require(*PROGRAMS)
    except ToipLabError as error:
        yield f"{error.message}; {error.hint}"
        return  # the rest is tried with these programs
    yield from _missing_tun()
    with closing(Programs()) as programs:
        try:
            trial = Namespace.create(programs)
        except ToipLabError as error:
            yield (
                f"no network namespace: {shlex.join(['unshare', *unshare_options()])} says"
                f" {error.message!r}; {_way_to_namespaces()}"
            )
            return
        with closing(trial):
            for kind, words in KINDS.items():
                try:
                    trial.ip(f"link add trial-{kind} {words}")
                except ToipLabError as error:
                    said = error.message.splitlines()[0]
                    yield f"no {kind} interfaces ({said}); as root: modprobe {kind}"


def _missing_tun() -> Iterator[str]:
    try:
        os.close(os.open(TUN, os.O_RDWR))
    except FileNotFoundError:
        yield f"{TUN} is absent, which the machine is plugged in with; as root: modprobe tun"
    except PermissionError:
        yield (
            f"{TUN} may not be opened by this user; run as root, or let users open it"
            f" (as root): chmod 0666 {TUN}"
        )
    except OSError as error:
        yield f"{TUN} cannot be opened ({error.strerror}); as root: modprobe tun"


def _way_to_namespaces() -> str:
    if os.geteuid() == 0:
        return "a container may have to be started with more rights (CAP_SYS_ADMIN)"
    return (
        "run as root, or let users have user namespaces (sysctl user.max_user_namespaces,"
        " kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
    )
