"""The record of a board as plain values: what it has, and which positions it went through. Pure.

The format of positions is written down here a second time, on purpose.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

_MARK_BYTES: Final = 8


class Award(NamedTuple):
    """An award as the ledger has it. The fields stand in the order of the canonical text."""

    revision: int
    award_id: str
    """Lower case, with hyphens; the same goes for `request_id`."""
    user_id: str
    action_type: str
    action_id: str
    points: int
    total_after: int
    request_id: str
    caller: str
    trace_id: str
    awarded_at: int
    """Microseconds since 1970."""


class Commit(NamedTuple):
    """A commit as the ledger has it."""

    first_revision: int
    last_revision: int
    digest: bytes


class Total(NamedTuple):
    """What a user has."""

    total: int
    reached_revision: int


class Head(NamedTuple):
    """What the board's row says of the end of its ledger."""

    revision: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that the record has of one board."""

    board_id: str
    head: Head | None
    """None where awards or standings are there, but no board."""
    awards: Sequence[Award]
    """In the order of their revisions; the same goes for commits."""
    commits: Sequence[Commit]
    standings: Mapping[str, Total]
    """By user."""

    @property
    def revision(self) -> int:
        """How many awards the board's row says that there are."""
        return self.head.revision if self.head else 0

    @property
    def position(self) -> str:
        """Where the board's row says that the ledger ends."""
        return write_position(*self.head) if self.head else start_position(self.board_id)


Record: TypeAlias = Mapping[str, Ledger]
"""Every board of a database, by its id."""


def start_digest(board_id: str) -> bytes:
    """Return the digest of an empty ledger."""
    return hashlib.sha256(board_id.encode()).digest()


def write_position(revision: int, digest: bytes) -> str:
    """Return the position of a commit."""
    return f"{revision}-{digest[:_MARK_BYTES].hex()}"


def start_position(board_id: str) -> str:
    """Return the position of an empty ledger."""
    return write_position(0, start_digest(board_id))
