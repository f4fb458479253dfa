"""The entries of a ledger, as a feed shows them. Pure.

These are made for every entry that is read, tens of thousands a second, so they are tuples, and their
instants are the microseconds since 1970 that the record gives.
"""

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from score_service.domain.ledger.position import Position


class EntryKind(enum.Enum):
    """What an entry is. The values are those of the record."""

    AWARD = "award"
    REVERSAL = "reversal"
    VISIBILITY = "visibility"
    PERIOD_CLOSED = "period_closed"
    SETTINGS = "settings"
    ARCHIVED = "archived"


ALL_KINDS: Final = frozenset(EntryKind)


class AwardEntry(NamedTuple):
    """Points that a user got."""

    revision: int
    mark: str
    """Of the commit that holds it, see `Position`."""
    award_id: str
    user_id: str
    points: int
    total: int
    """The user's total right after it."""
    action_type: str
    action_id: str
    caller: str
    trace_id: str
    recorded_at: int
    occurred_at: int | None
    """Where the caller said when it happened."""
    periods: str
    """The ids of the periods that it counts in, with a space between."""

    @property
    def kind(self) -> EntryKind:
        """What it is."""
        return EntryKind.AWARD


class OtherEntry(NamedTuple):
    """What a ledger has besides awards."""

    revision: int
    mark: str
    kind: EntryKind | None
    """None for one of a later version, of which only the position is shown."""
    actor: str
    recorded_at: int
    body: str
    """JSON, as the ledger has it."""


Entry: TypeAlias = AwardEntry | OtherEntry


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """What a reader of a feed asks for. Every field is already checked."""

    board_id: str
    after: Position
    """Of the last entry that the reader has, or the start."""
    kinds: frozenset[EntryKind] = ALL_KINDS


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class EntryPage:
    """Entries of some kinds that follow each other.

    It equals itself alone, to find again what was made of it.
    """

    after: Position
    upto: Position
    """There is no entry of these kinds between the last one and this."""
    entries: tuple[Entry, ...]
    is_full: bool
    """Whether there may be more that was there when it was read."""


def position_of(entry: Entry) -> Position:
    """Return where the ledger stands with an entry."""
    return Position(entry.revision, entry.mark)
