"""A position: where the ledger of a board stands. Pure.

A position names a commit: the revision of its last entry and the first eight bytes of its digest. Two
histories that reached the same revision by different entries have different positions. The digest of
the empty ledger depends on the board's id alone.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_TEXT = re.compile(r"(0|[1-9][0-9]{0,18})-([0-9a-f]{16})")
_MARK_BYTES = 8


@dataclass(frozen=True, slots=True)
class Position:
    """A revision and the mark of the history that led to it."""

    revision: int
    """Number of entries in the ledger up to here, 0 or more."""
    mark: str
    """The first eight bytes of the commit's digest, in hex."""

    @classmethod
    def of(cls, revision: int, digest: bytes) -> Self:
        """Make the position of a commit from its last revision and whole digest."""
        return cls(revision, digest[:_MARK_BYTES].hex())

    @classmethod
    def start(cls, board_id: str) -> Self:
        """Make the position of a board's empty ledger."""
        return cls.of(0, hashlib.sha256(board_id.encode()).digest())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `<revision>-<hex>`; None if the text is no position."""
        match = _TEXT.fullmatch(text)
        return cls(int(match[1]), match[2]) if match and int(match[1]) < 2**63 else None

    def __str__(self) -> str:
        return f"{self.revision}-{self.mark}"
