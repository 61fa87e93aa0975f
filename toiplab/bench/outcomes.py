"""What came of the contests, kept until all have been held on the same packages.

Each contest is one run, in which its contestants are compared; the page is made of the last
run of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from toiplab import files
from toiplab.bench.contest import Outcome

FORMAT = TypeAdapter(Outcome)


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of contests on one package set, in ``folder``."""

    folder: Path

    @classmethod
    def on(cls, packages: str, folder: Path) -> Outcomes:
        """Those on the package set of this digest, below ``folder``."""
        return cls(folder / packages[:16])

    def keep(self, outcome: Outcome) -> None:
        """Keep an outcome, instead of an earlier one of that contest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write(self._path(outcome.name), FORMAT.dump_json(outcome, indent=2))

    def kept(self, names: Iterable[str]) -> tuple[Outcome, ...]:
        """Those of these contests that are kept, in the order of the names."""
        return tuple(each for name in names if (each := self._read(name)) is not None)

    def _read(self, name: str) -> Outcome | None:
        path = self._path(name)
        try:
            return FORMAT.validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):  # never held, or by an earlier version
            return None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"
