"""QEMU's control socket: a plain, synchronous face over qemu.qmp, which is asyncio."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import ExecuteError, Message, QMPClient, QMPError

from toiplab.machine.waiting import Deadline, DeadlineError, MachineGoneError

COMMAND_SECONDS = 30

T = TypeVar("T")


class Qmp:
    """A QMP session on a connected socket (QEMU's "QMP Reference Manual").

    Every method raises MachineGoneError once QEMU has ended, and DeadlineError when it
    does not answer.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("machine")
        self._client.logger.setLevel(logging.CRITICAL + 1)  # our own messages tell it all
        try:
            self._await(self._client.connect(connection), "greet")
        except BaseException:
            self._loop.close()
            raise

    def screendump(self, image: Path) -> None:
        """Write what the screen shows to a PNG file."""
        self._execute("screendump", {"filename": str(image), "format": "png"})

    def begin_dump(self, netdev: str, file: Path) -> None:
        """Record what goes through a network backend into a pcap file, ``filter-dump``."""
        recorder = {"qom-type": "filter-dump", "id": f"dump-{netdev}", "netdev": netdev}
        self._execute("object-add", {**recorder, "file": str(file)})

    def end_dump(self, netdev: str) -> None:
        """End what ``begin_dump`` began."""
        self._execute("object-del", {"id": f"dump-{netdev}"})

    def powerdown(self) -> None:
        """Press the power button (ACPI)."""
        self._execute("system_powerdown")

    def reset(self) -> None:
        """Press the reset button: the guest gets no warning."""
        self._execute("system_reset")

    def quit(self) -> None:
        """End QEMU: the power is cut."""
        self._execute("quit")

    def status(self) -> str:
        """QEMU's run state, such as ``running`` or ``internal-error``."""
        answer = self._execute("query-status")
        return str(answer["status"]) if isinstance(answer, dict) else ""

    def forget_events(self) -> None:
        """Drop the events that came so far, so that the next wait sees only later ones."""
        self._client.events.clear()

    def wait_for_event(self, name: str, within: float) -> Message:
        """The next event of that name, such as RESET or SHUTDOWN; ``within`` in seconds."""
        deadline = Deadline.within(within)
        while True:
            event = self._await(self._client.events.get(), f"send {name}", deadline.remaining)
            if event["event"] == name:
                return event

    def close(self) -> None:
        """End the session; QEMU goes on, or has gone."""
        if self._loop.is_closed():
            return
        try:
            self._loop.run_until_complete(self._client.disconnect())
        except (QMPError, OSError, EOFError):
            pass  # QEMU has gone first
        finally:
            self._loop.close()

    def _execute(self, command: str, arguments: dict[str, object] | None = None) -> object:
        return self._await(self._client.execute(command, arguments), f"do {command}")

    def _await(
        self, work: Coroutine[Any, Any, T], what: str, seconds: float = COMMAND_SECONDS
    ) -> T:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, seconds))
        except TimeoutError:
            raise DeadlineError(f"QEMU did not {what} within {seconds:.0f} s") from None
        except ExecuteError as error:
            raise MachineGoneError(f"QEMU could not {what}: {error}") from error
        except (QMPError, OSError, EOFError) as error:
            raise MachineGoneError(f"QEMU ended before it could {what}") from error
