"""What the service answers, as plain immutable values.

A revision counts the awards of a board, and a position is a revision together with the history it
belongs to. Positions are opaque: keep them, compare them for equality, hand them back. A rank is 1 for
the best, and None where it is not known.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


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
    """

    award_id: UUID
    revision: int
    position: str
    points: int
    total: int
    rank: int | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One user's place on one board.

    Attributes:
        user_id: The user.
        total: The sum of the user's awards, 0 to 2^53-1.
        rank: 1 for the best. Of equal totals, the one reached earlier is better.
        reached_revision: The revision at which the user reached this total.
    """

    user_id: str
    total: int
    rank: int | None
    reached_revision: int


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
    """

    period: Period
    winners: tuple[Standing, ...]
    digest: bytes
    final_revision: int
    entry_revision: int
    time_zone: str
    zone_data_version: str
    truncated: bool


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
