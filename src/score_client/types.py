"""What the service answers, as plain immutable values.

A revision counts the entries of a board, and a position is a revision together with the history it
belongs to. Positions are opaque: keep them, compare them for equality, hand them back. A rank is 1 for
the best, and None where it is not known.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from score_api.v1 import types_pb2


class Source(StrEnum):
    """Which store answered a read."""

    CACHE = "cache"
    """The projection in Redis: fast, and possibly a little behind."""
    RECORD = "record"
    """The record in PostgreSQL, because the projection was unavailable or too old."""


class PeriodKind(StrEnum):
    """How the periods of a board follow each other. By itself it asks for the current one."""

    DAY = "day"
    WEEK = "week"
    """Of ISO 8601: from Monday on."""
    MONTH = "month"
    SEASON = "season"


class PeriodState(StrEnum):
    """How far a period has come."""

    OPEN = "open"
    CLOSING = "closing"
    """It has ended. Awards that happened in it still count."""
    REVIEW = "review"
    """No award counts in it any more. Corrections still do."""
    FINAL = "final"
    """Its result does not change any more."""


class LatePolicy(StrEnum):
    """What becomes of an award that belongs to a period that is closed already."""

    CURRENT = "current"
    """It counts in the current period of that kind."""
    ALL_TIME = "all_time"
    """It counts in no period of that kind."""
    REFUSE = "refuse"
    """It is refused as a whole."""


class Visibility(StrEnum):
    """Who may see a user on a board."""

    VISIBLE = "visible"
    HIDDEN = "hidden"
    """Nobody: the user is in no list, and counts in no rank and no number of users."""
    SHADOWED = "shadowed"
    """As hidden, but the user is shown the rank that would be, and so does not notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A range of time in which a board counts from 0. Instants are in UTC.

    Attributes:
        period_id: `day:2026-11-30`, `week:2026-W49`, `month:2026-11` or `season:NAME`.
        kind: How it follows the one before.
        starts_at: Its first instant.
        ends_at: The first instant after it.
        closes_at: From here on no award counts in it: its end, and the grace of the board.
        state: How far it has come.
        next_starts_at: Where the next one of its kind starts; None where none is known.
        entrants: How many users have points in it.
    """

    period_id: str
    kind: PeriodKind
    starts_at: datetime
    ends_at: datetime
    closes_at: datetime
    state: PeriodState
    next_starts_at: datetime | None = None
    entrants: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardResult:
    """What an award did when it was first made.

    Attributes:
        award_id: The award.
        revision: The award's number in the board's ledger.
        position: The position of the commit that holds the award.
        points: The points given.
        total: The user's total right after this award.
        rank: The user's current rank.
        replayed: True if another request made this award before.
        reversed: True if the award was taken back since. It is never made again.
    """

    award_id: UUID
    revision: int
    position: str
    points: int
    total: int
    rank: int | None
    replayed: bool
    reversed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One user's place on one board.

    Attributes:
        user_id: The user.
        total: The sum of the user's awards, 0 to 2^53-1.
        rank: 1 for the best. Of equal totals, the one reached earlier is better.
        reached_revision: The revision at which the user reached this total.
        hidden: True for a user that is hidden or shadowed: no list has it, and only the user may be shown
            it. The rank is None then, or for a shadowed user what it would be.
    """

    user_id: str
    total: int
    rank: int | None
    reached_revision: int
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingView:
    """One user's standing, with the revision and position it holds at, and its period; None for all time."""

    standing: Standing
    revision: int
    position: str
    source: Source
    period: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingsView:
    """Several standings, with the revision and position they hold at.

    Attributes:
        standings: Best first, or in the order of the users asked for.
        revision: The revision of the board.
        position: The position of the board.
        source: Which store answered.
        next_page_token: Where the next page starts; empty on the last page and where there are no pages.
        period: The period that is shown; None for all time.
    """

    standings: tuple[Standing, ...]
    revision: int
    position: str
    source: Source
    next_page_token: str = ""
    period: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole top of a board: the first event of a watch, of each reconnect, and of each period.

    Attributes:
        top: The top, best first.
        reset: True if the position to resume from is of another history or too far back: forget every
            score you have, and start from here.
        revision: The revision of the board.
        position: The position of the board. When a watch was resumed, the scores up to it follow in the
            next update: until then, the older position is the one to resume from.
        source: Which store answered.
        period: The period that is shown; None for all time. When it is another one than before, the watch
            has gone on with the next: forget every score you have.
    """

    top: tuple[Standing, ...]
    reset: bool
    revision: int
    position: str
    source: Source
    period: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed since the event before.

    Attributes:
        top: The whole top, best first, or None if none of it changed.
        scores: The newest standing of each user whose total changed, of the users asked for.
        revision: The revision of the board.
        position: The position of the board.
        source: Which store answered.
    """

    top: tuple[Standing, ...] | None
    scores: tuple[Standing, ...]
    revision: int
    position: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A sign of life: nothing that was asked for has changed up to this position."""

    revision: int
    position: str
    source: Source


WatchEvent = Snapshot | Update | Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """An award that was taken back.

    Attributes:
        reversal_id: Names the reversal on its board for ever.
        award_id: The award.
        award_revision: The award's number in the board's ledger.
        user_id: Whose it was.
        points: The points taken back.
        total: The user's total right after it; 0 if no award was left.
        revision: The reversal's number in the board's ledger.
        position: The position of the commit that holds it.
        reason: Why.
        actor: The SPIFFE id of the service that asked for it.
        on_behalf_of: For whom it did so; empty if for itself.
        recorded_at: When, in UTC.
        final_periods: The periods whose result was final by then, and has the award still.
    """

    reversal_id: UUID
    award_id: UUID
    award_revision: int
    user_id: str
    points: int
    total: int
    revision: int
    position: str
    reason: str
    actor: str
    on_behalf_of: str
    recorded_at: datetime
    final_periods: tuple[str, ...]

    @classmethod
    def of(cls, message: types_pb2.Reversal) -> Self:
        """Read a message.

        Raises:
            ValueError: It has an id or a time that cannot be.
        """
        return cls(
            reversal_id=UUID(message.reversal_id),
            award_id=UUID(message.award_id),
            award_revision=message.award_revision,
            user_id=message.user_id,
            points=message.points,
            total=message.total,
            revision=message.revision,
            position=message.position,
            reason=message.reason,
            actor=message.actor,
            on_behalf_of=message.on_behalf_of,
            recorded_at=message.recorded_at.ToDatetime(tzinfo=UTC),
            final_periods=tuple(message.final_periods),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalResult:
    """What taking an award back did.

    Attributes:
        reversal: The reversal that stands.
        rank: The user's rank now; None where there is none, or it is not known.
        replayed: True if it was made before.
    """

    reversal: Reversal
    rank: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardFilter:
    """Selects awards of a board. Each attribute that is given narrows it; one at least is.

    Attributes:
        caller: Made by this service: its SPIFFE id.
        action_id: For this action.
        action_type: For actions of this type.
        user_id: Of this user.
        recorded_from: Recorded from this instant on, with a time zone.
        recorded_until: Recorded before this instant, with a time zone.
    """

    caller: str = ""
    action_id: str = ""
    action_type: str = ""
    user_id: str = ""
    recorded_from: datetime | None = None
    recorded_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMove:
    """What a plan of reversals would do to one user.

    Attributes:
        user_id: The user.
        total_before: The total now.
        total_after: The total then; 0 if no award is left.
        rank_before: The rank now; None where the user has none.
        rank_after: The rank then; None where the user would have none.
    """

    user_id: str
    total_before: int
    total_after: int
    rank_before: int | None
    rank_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalPlan:
    """What taking back all awards of a filter would change.

    Attributes:
        board_id: The board.
        award_filter: Which awards.
        awards: How many there are. Those that were reversed before are not counted.
        points: The points of these awards.
        users: How many users have them.
        moves: Who is among the first 100 now or would be then, and whose rank or total would be another.
        revision: The revision of the board up to which awards were selected.
        token: What an apply needs. Opaque.
    """

    board_id: str
    award_filter: AwardFilter
    awards: int
    points: int
    users: int
    moves: tuple[RankMove, ...]
    revision: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilityResult:
    """Who may see a user now.

    Attributes:
        visibility: As it is now.
        before: As it was before this call.
        revision: The revision of the board that set it; 0 if it was never set.
        position: The position of the board at which it holds.
    """

    visibility: Visibility
    before: Visibility
    revision: int
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAward:
    """An award as the ledger has it.

    Attributes:
        award_id: The award.
        revision: The award's number in the board's ledger.
        user_id: Whose it is.
        points: The points given.
        total: The user's total right after it.
        action_type: The kind of action.
        action_id: The action.
        caller: The SPIFFE id of the service that made it.
        trace_id: A W3C trace id; empty where there is none.
        recorded_at: When it was recorded, in UTC.
        occurred_at: When it happened, where the caller said so.
        periods: The ids of the periods that it counts in.
        reversal: The reversal that stands, if it was taken back.
    """

    award_id: UUID
    revision: int
    user_id: str
    points: int
    total: int
    action_type: str
    action_id: str
    caller: str
    trace_id: str
    recorded_at: datetime
    occurred_at: datetime | None
    periods: tuple[str, ...]
    reversal: Reversal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardsView:
    """A page of awards, newest first; `next_page_token` is empty on the last page.

    Attributes:
        awards: The awards.
        next_page_token: Where the next page starts.
        archived_revision: The awards up to this revision are archived, and on no page; 0 where none are.
    """

    awards: tuple[RecordedAward, ...]
    next_page_token: str
    archived_revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodResult:
    """A period with its result, so far or for good.

    Attributes:
        period: The period.
        winners: The best, in order, as many as were asked for.
        digest: SHA-256 of the final standings; empty until the period is final.
        final_revision: The revision of the board at which the standings were final; 0 until then.
        entry_revision: The revision of the entry of the ledger that says so; 0 until then.
        time_zone: The zone that its start and end were worked out in.
        zone_data_version: The version of the zone data, such as `2026f`.
        truncated: True if only the top of a final period is kept.
        reversed_after: How many awards were taken back after its result was final, which has them still.
        reversals_after: The newest of these, at most 100. Of `get_period` alone.
    """

    period: Period
    winners: tuple[Standing, ...]
    digest: bytes
    final_revision: int
    entry_revision: int
    time_zone: str
    zone_data_version: str
    truncated: bool
    reversed_after: int = 0
    reversals_after: tuple[Reversal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodsView:
    """A page of periods, the last to end first; `next_page_token` is empty on the last page."""

    results: tuple[PeriodResult, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """A period with a name, and a start and an end of its own.

    Attributes:
        season_id: Its name. The id of its period is `season:` and this.
        starts_at: Its first instant.
        ends_at: The first instant after it.
        review: How long corrections still count after it has closed for awards.
    """

    season_id: str
    starts_at: datetime
    ends_at: datetime
    review: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardView:
    """A board and its settings.

    Attributes:
        board_id: The board.
        time_zone: A name of the IANA zone data.
        periods: Which of day, week and month the board has.
        seasons: Its seasons, in the order of their starts.
        grace: How long after its end a period still takes awards that happened in it.
        late: What becomes of awards that come later.
        keep: How many final periods of a kind are kept in full.
        settings_revision: The revision of the board that set this; 0 if the settings were never changed.
        revision: The revision of the board.
        position: The position of the board.
    """

    board_id: str
    time_zone: str
    periods: tuple[PeriodKind, ...]
    seasons: tuple[Season, ...]
    grace: timedelta
    late: LatePolicy
    keep: int
    settings_revision: int
    revision: int
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardsView:
    """A page of boards in the order of their ids; `next_page_token` is empty on the last page."""

    boards: tuple[BoardView, ...]
    next_page_token: str
