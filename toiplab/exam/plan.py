"""Which checks an exam holds, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from toiplab.errors import ToipLabError
from toiplab.exam import (
    asterisk,
    calls,
    conversations,
    dialplan,
    drivers,
    leases,
    logins,
    network,
    packages,
    parking,
    restarts,
    scripted,
    sip,
    ssh,
    system,
    transfers,
    voicemail,
)
from toiplab.exam.registry import Check

# The first check waits until the machine has settled; the one that restarts the lab card
# comes last of the network's, the one that makes a call last of all.
FIRST_EXAM: tuple[Check, ...] = (
    *system.CHECKS,
    *drivers.CHECKS,
    *packages.CHECKS,
    *network.CHECKS,
    *ssh.CHECKS,
    *asterisk.CHECKS,
    *dialplan.CHECKS,
    *sip.CHECKS,
    *calls.CHECKS,
)

# Those that run alone come first. The class's calls come before asterisk is restarted, for
# it keeps their ports for half a minute; the longest of the others begin first.
WITH_PHONES: tuple[Check, ...] = (
    *leases.ALONE,
    *restarts.BEFORE_PHONES,
    *scripted.ALONE,
    *restarts.AFTER_LOAD,
    parking.comes_back,
    *voicemail.CHECKS,
    *conversations.CHECKS,
    *transfers.CHECKS,
    parking.taken_back,
    parking.music_on_hold,
    *scripted.CHECKS,
    *logins.CHECKS,
    *leases.CHECKS,
)


@dataclass(frozen=True)
class Plan:
    """The checks of an exam: after the first boot, with phones, and after a reboot.

    Without any for after a reboot, there is none.
    """

    first: tuple[Check, ...] = FIRST_EXAM
    with_phones: tuple[Check, ...] = WITH_PHONES
    after_reboot: tuple[Check, ...] = FIRST_EXAM

    def only(self, rows: Collection[str]) -> Plan:
        """The checks of some rows of the contract, without a reboot; all if no row is named.

        Raises:
            ToipLabError: no check has that row.
        """
        if not rows:
            return self
        known = dict.fromkeys(check.row for check in (*self.first, *self.with_phones))
        named = {row.upper(): row for row in known}
        rows = [named.get(row.upper(), row) for row in rows]
        for row in rows:
            if row not in known:
                raise ToipLabError(
                    f"--only {row}: no such row", hint=f"rows: {' '.join(sorted(known))}"
                )
        return Plan(tuple(_of(rows, self.first)), tuple(_of(rows, self.with_phones)), ())

    def quick(self) -> Plan:
        """Without phones."""
        return Plan(self.first, (), self.after_reboot)


def _of(rows: Collection[str], checks: tuple[Check, ...]) -> Iterator[Check]:
    return (check for check in checks if check.row in rows)
