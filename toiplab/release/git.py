"""What a checkout's git says of it: a release is of a commit, not of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toiplab import host
from toiplab.errors import ToipLabError

SHOWN = 3


@dataclass(frozen=True)
class Checkout:
    """A folder that git keeps."""

    top: Path

    def commit(self) -> str:
        """The commit that is checked out, in forty hexadecimal digits.

        Raises:
            ToipLabError: the folder is no git checkout, or has no commit yet.
        """
        return self._git("rev-parse", "--verify", "HEAD").strip()

    def check_clean(self) -> None:
        """Refuse a checkout that is not exactly its commit.

        Raises:
            ToipLabError: naming the files that were changed, or that git does not know.
        """
        listed = self._git("status", "--porcelain", "-z", "--no-renames").split("\0")
        names = [entry[3:] for entry in listed if entry]
        if not names:
            return
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise ToipLabError(
            f"{self.top}: not as it was committed: {', '.join(names[:SHOWN])}{more}",
            hint="commit it, or put it aside with git stash --include-untracked",
        )

    def check_tag(self, tag: str) -> None:
        """Refuse a commit that does not carry this tag.

        Raises:
            ToipLabError: saying which tags it has.
        """
        tags = self._git("tag", "--points-at", "HEAD").split()
        if tag not in tags:
            raise ToipLabError(
                f"{self.top}: its commit has {', '.join(tags) or 'no tag'}, and this version "
                f"is {tag}",
                hint=f"git tag {tag}, or mend __version__ in toiplab/__init__.py",
            )

    def _git(self, *words: str) -> str:
        return host.run(
            ["git", "-C", self.top, *words],
            hint="a release is made in a checkout of git, by its owner",
        ).output
