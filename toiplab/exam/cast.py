"""Which of the lab's phones play in which check: each has its own, and none plays in two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from toiplab.lab.model import Context, Extension, Lab

Party = tuple[int, ...]
"""How many phones of how many contexts: ``(2,)`` may call each other, ``(1, 1)`` may not."""

Players = tuple[Extension, ...]
"""The phones of a party, context by context."""


def context_of(lab: Lab, number: str) -> tuple[str, Context]:
    """The context that a phone's number belongs to, with its name."""
    return next(
        (name, context)
        for name, context in lab.contexts.items()
        if number in {extension.number for extension in context.extensions}
    )


class Cast:
    """The phones of a lab that are free; those of its last context are asked first."""

    def __init__(self, lab: Lab) -> None:
        self._contexts = [context.extensions for context in reversed(lab.contexts.values())]
        self._playing: set[str] = set()

    def possible(self, ways: Sequence[Party]) -> Party | None:
        """The first of several parties that the lab has phones for; None if it has for none."""
        sizes = sorted((len(extensions) for extensions in self._contexts), reverse=True)
        for party in ways:
            wanted = sorted(party, reverse=True)
            if len(wanted) <= len(sizes) and all(
                n <= size for n, size in zip(wanted, sizes, strict=False)
            ):
                return party
        return None

    def take(self, party: Party) -> Players | None:
        """Take phones for a party, each part of it from another context; None if too few are free.

        A context with just enough is taken from first, so that greater parties find room.
        """
        free = [
            [extension for extension in extensions if extension.number not in self._playing]
            for extensions in self._contexts
        ]
        chosen: dict[int, list[Extension]] = {}
        for part, count in sorted(enumerate(party), key=lambda item: -item[1]):
            fitting = [extensions for extensions in free if len(extensions) >= count]
            if not fitting:
                return None
            context = min(fitting, key=len)
            free = [extensions for extensions in free if extensions is not context]
            chosen[part] = context[:count]
        players = tuple(chain.from_iterable(chosen[part] for part in range(len(party))))
        self._playing.update(extension.number for extension in players)
        return players

    def give_back(self, players: Players) -> None:
        """They are free again."""
        self._playing.difference_update(extension.number for extension in players)
