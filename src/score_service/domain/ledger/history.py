"""The past awards of a board as they are listed, and what taking some of them back would do. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from score_service.domain.ledger.reversal import Reversal


class LedgerAward(NamedTuple):
    """An award as the ledger has it, with its reversal. All instants are aware, in UTC."""

    award_id: str
    revision: int
    user_id: str
    points: int
    total: int
    """The user's total of all time right after it."""
    action_type: str
    action_id: str
    caller: str
    """The SPIFFE id of the service that made it."""
    trace_id: str
    """32 hex digits, or empty."""
    recorded_at: datetime
    occurred_at: datetime | None
    """When it happened, where the caller said so."""
    periods: tuple[str, ...]
    """The ids of the periods that it counts in."""
    reversal: Reversal | None
    """The reversal that stands, if it was taken back."""


class AwardPage(NamedTuple):
    """Awards that follow each other, the newest first."""

    awards: Sequence[LedgerAward]
    archived_revision: int
    """The cut: none up to this revision is listed. 0 where nothing is archived."""


class AwardFilter(NamedTuple):
    """Selects awards of a board. Each field that is not None narrows it."""

    caller: str | None = None
    action_id: str | None = None
    action_type: str | None = None
    user_id: str | None = None
    recorded_from: datetime | None = None
    """The first instant."""
    recorded_until: datetime | None = None
    """The first instant after them."""


class SelectedAward(NamedTuple):
    """An award that a filter selects."""

    award_id: str
    revision: int
    user_id: str
    points: int


class RankMove(NamedTuple):
    """What taking awards back would do to a user's place of all time."""

    user_id: str
    total_before: int
    total_after: int
    """0 if no award would be left."""
    rank_before: int | None
    """Now, 1 for the best."""
    rank_after: int | None
    """Then; None where the user would have no points."""


class PlannedReversals(NamedTuple):
    """What taking awards back would do."""

    awards: int
    points: int
    users: int
    """Who has them."""
    moves: tuple[RankMove, ...]
    """Of those who are among the first 100 now or would be then, everyone whose rank or total would be
    another one, by the rank now. Who is hidden has no rank, and does not move."""
