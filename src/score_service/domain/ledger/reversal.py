"""Awards that are taken back. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position


class ReversalRequest(NamedTuple):
    """An award that is to be taken back. Every field is already checked."""

    award_id: str
    """A UUID in lower case."""
    reversal_id: str
    """A UUID in lower case, which identifies the reversal on its board for ever."""
    reason: str
    """1 to 500 characters."""
    on_behalf_of: str = ""
    """For whom the caller does it; empty if for itself."""


class Reversal(NamedTuple):
    """An award that was taken back, as the ledger has it."""

    reversal_id: str
    award_id: str
    award_revision: int
    user_id: str
    points: int
    total: int
    """The user's total of all time right after it; 0 if no award was left."""
    revision: int
    """Of its entry."""
    position: Position
    """The commit that holds it; the cut, where that one is archived and deleted."""
    reason: str
    actor: str
    """The SPIFFE id of the service that asked for it."""
    on_behalf_of: str
    recorded_at: datetime
    final_periods: tuple[str, ...]
    """The periods whose result was final by then, and has the award still."""


@dataclass(frozen=True, slots=True)
class ReversalConflict:
    """Nothing was taken back: another reversal of the award stands, or the id is one of another award."""

    standing: Reversal
    """The reversal that stands."""


@dataclass(frozen=True, slots=True)
class AwardMissing:
    """Nothing was taken back: the board has no such award."""


@dataclass(frozen=True, slots=True)
class AwardArchived:
    """Nothing was taken back: the award is archived."""

    cut: Position
    """After it the record has all awards."""


@dataclass(frozen=True, slots=True)
class ReversedBatch:
    """What became of a batch of reversals."""

    changes: Changes
    """`before` and `after` are the same where nothing was new."""
    results: tuple[Reversal | ReversalConflict | AwardMissing | AwardArchived, ...]
    """In the order of the batch. One that was made before is the first result."""
    is_new: tuple[bool, ...]
    """Whether this call made it."""
