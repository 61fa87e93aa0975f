"""Several commands in one script for the guest, and their answers told apart again."""

from __future__ import annotations

import secrets as random
import shlex
from collections.abc import Callable, Sequence

from toiplab.host import Finished
from toiplab.machine.waiting import GuestError

COMMANDS_SECONDS = 120


def answers_of(run: Callable[[str], Finished], commands: Sequence[str]) -> tuple[Finished, ...]:
    """Run the commands as one script, each in a bash of its own.

    Raises:
        GuestError: what came back is cut short.
    """
    mark = f"exam-{random.token_hex(4)}"
    output = run(
        "\n".join(
            f"bash -c {shlex.quote(command)}; printf '\\n{mark} %d\\n' $?" for command in commands
        )
    ).output
    answers = []
    for command in commands:
        text, found, rest = output.partition(f"\n{mark} ")
        status, _, output = rest.partition("\n")
        if not found:
            raise GuestError(f"in the guest, this was cut short: {command}")
        answers.append(Finished(int(status), text))
    return tuple(answers)
