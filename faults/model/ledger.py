"""The record of a board as plain values: what it has, and which positions it went through. Pure.

The format of positions is written down here a second time, on purpose.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

_MARK_BYTES: Final = 8


class Award(NamedTuple):
    """An award as the ledger has it. The fields stand in the order of the canonical text.

    That of an award which counts in no period, and says nothing of when it happened, ends before these two.
    """

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
    occurred_at: int | None = None
    """The same; None where the caller said nothing of it."""
    periods: tuple[tuple[str, int], ...] = ()
    """The periods that it counts in, in the order in which they were opened, and the user's total in each."""

    def write(self) -> str:
        """Return the canonical text."""
        fields = list[object](self[:-2])
        if self.occurred_at is not None or self.periods:
            occurred_at = "" if self.occurred_at is None else self.occurred_at
            fields += [occurred_at, ",".join(f"{period_id}={total}" for period_id, total in self.periods)]
        return "\t".join(map(str, fields)) + "\n"


class Entry(NamedTuple):
    """What else the ledger has. The fields stand in the order of the canonical text."""

    revision: int
    kind: str
    """`settings` or `period_closed`."""
    actor: str
    request_id: str
    trace_id: str
    entered_at: int
    """Microseconds since 1970."""
    body: str
    """JSON."""

    def write(self) -> str:
        """Return the canonical text."""
        return "\t".join(map(str, self)) + "\n"


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


class Place(NamedTuple):
    """A user's place in the result of a period."""

    rank: int
    user_id: str
    total: int
    reached_revision: int

    def write(self) -> str:
        """Return the text that the digest of a result is of."""
        return "\t".join(map(str, self)) + "\n"


class Period(NamedTuple):
    """A period of a board, as its row has it. Times are microseconds since 1970."""

    period_id: str
    kind: str
    starts_at: int
    ends_at: int
    closes_at: int
    final_at: int
    opened_revision: int
    closed_revision: int | None
    entrants: int | None
    digest: bytes | None
    entry_revision: int | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that the record has of one board."""

    board_id: str
    head: Head | None
    """None where awards or standings are there, but no board."""
    awards: Sequence[Award]
    """In the order of their revisions; the same goes for commits and entries."""
    commits: Sequence[Commit]
    standings: Mapping[str, Total]
    """Of all time, by user."""
    entries: Sequence[Entry] = ()
    periods: Sequence[Period] = ()
    """In the order in which they were opened."""
    period_standings: Mapping[str, Mapping[str, Total]] = field(default_factory=dict)
    """By period and user, of those that are not final."""
    results: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    """By period, in the order of ranks."""
    cut: int = 0
    """Up to where the board's row says that awards are archived."""
    deleted: Sequence[Award] = ()
    """Those of the awards that are in the files of the ledger alone. So are commits before the first of the
    record."""
    archived_ids: Mapping[str, int] = field(default_factory=dict)
    """The ids that the record keeps of deleted awards, and their revisions."""

    @property
    def revision(self) -> int:
        """How many awards and entries the board's row says that there are."""
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
