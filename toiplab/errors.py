"""The one kind of error a user sees: what is wrong, and what would mend it."""

from __future__ import annotations

BAD_INPUT = 2
INTERRUPTED = 130


class ToipLabError(Exception):
    """Something the user can mend: bad input, a missing tool, a full disk.

    ``message`` says what is wrong and where; ``hint`` says what would be right.
    The command line prints both and exits with ``status``; no traceback.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = BAD_INPUT) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message
