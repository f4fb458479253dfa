"""Periods: ranges of time in which a board counts from 0. Pure.

A period is a half-open range of instants. What a local day is was worked out before, see `periods`, and is
not asked again: with a period, no time zone is needed.
"""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from score_service.domain.board.board_settings import LatePolicy

ALL_TIME: Final = "all_time"
"""What stands in the place of a period's id for the standings that never start again."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ID: Final = re.compile(
    r"day:\d{4}-\d{2}-\d{2}|week:\d{4}-W\d{2}|month:\d{4}-\d{2}|season:[A-Za-z0-9._-]{1,64}"
)


class PeriodKind(enum.Enum):
    """How the periods of a board follow each other. The value begins their ids."""

    DAY = "day"
    WEEK = "week"
    """ISO 8601: from Monday on."""
    MONTH = "month"
    SEASON = "season"


class PeriodState(enum.Enum):
    """How far a period has come."""

    OPEN = "open"
    CLOSING = "closing"
    """It has ended, and takes what happened in it."""
    REVIEW = "review"
    """It takes corrections only."""
    FINAL = "final"
    """The ledger has its result."""


@dataclass(frozen=True, slots=True)
class Period:
    """A period of a board, as it is stored when its first award opens it. All instants are aware, in UTC."""

    period_id: str
    """`day:2026-11-30`, `week:2026-W49`, `month:2026-11` or `season:NAME`."""
    kind: PeriodKind
    starts_at: datetime
    """The first instant."""
    ends_at: datetime
    """The first instant after it."""
    closes_at: datetime
    """From this ledger time on no award counts in it."""
    final_at: datetime
    """From this ledger time on no correction counts in it either: `closes_at` and a season's review."""
    time_zone: str
    """The zone that it was worked out in."""
    zone_data: str
    """The version of the zone data, such as `2026f`."""

    def holds(self, instant: datetime) -> bool:
        """Return whether an instant is in it."""
        return self.starts_at <= instant < self.ends_at

    def state_at(self, now: datetime, *, is_final: bool) -> PeriodState:
        """Return how far it has come; whether it is final is for the ledger to say, and not for the clock."""
        if is_final:
            return PeriodState.FINAL
        if now < self.ends_at:
            return PeriodState.OPEN
        return PeriodState.CLOSING if now < self.closes_at else PeriodState.REVIEW


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which periods the awards of a batch may count in.

    It is worked out before the ledger time of the batch is known, so it says for which time it is complete.
    The ledger rejects it where that does not hold its time, or where the settings have changed.
    """

    settings_revision: int
    """Of the settings that it was worked out from."""
    late: LatePolicy
    valid_from: datetime
    valid_until: datetime
    """For ledger times in `[valid_from, valid_until)`, `periods` has every period that is current then."""
    periods: tuple[Period, ...]
    """These, and those that hold an `occurred_at` of the batch, in the order of kind and start."""


NO_SCHEDULE: Final = Schedule(
    0, LatePolicy.CURRENT, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), ()
)
"""Of a board without settings. It holds for ever."""


@dataclass(frozen=True, slots=True)
class StoredPeriod:
    """A period that somebody has points in, as the record has it."""

    period: Period
    number: int
    """In the order in which the periods of the board were opened, 1 for the first."""
    opened_revision: int
    """Of the first award in it."""
    closed_revision: int | None = None
    """Where the ledger stood when its standings were final; None before."""
    entrants: int | None = None
    """Users with points in it; None before it is final."""
    digest: bytes | None = None
    """SHA-256 of its final standings, None before it is final. Of each user, in the order of ranks, a line of
    rank, user id, total and reached revision, with tabs between and a newline at the end."""
    entry_revision: int | None = None
    """Of the entry that says so; None before."""
    is_truncated: bool = False
    """Whether only the top of its result is kept."""

    @property
    def is_final(self) -> bool:
        """Return whether the ledger has its result."""
        return self.entry_revision is not None


@dataclass(frozen=True, slots=True)
class PeriodView:
    """A period as an answer shows it."""

    period: Period
    state: PeriodState
    next_starts_at: datetime | None
    """Where the next one of its kind starts; None where none is known."""
    entrants: int
    """Users with points in it, at the position of the answer."""


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    """What a reader asks for: the current period of a kind, the last final one, or one by its id."""

    kind: PeriodKind
    period_id: str = ""
    """Empty where it is not asked for by its id."""
    is_previous: bool = False

    @property
    def is_current(self) -> bool:
        """Return whether it is another period as time goes on."""
        return not self.period_id and not self.is_previous


def parse_period_choice(text: str) -> PeriodChoice | None:
    """Read `day`, `day:previous` or `day:2026-11-30`, and so on for the other kinds; None for anything else.

    Neither the empty text nor `all_time` is a choice of a period: both ask for the standings of all time.
    """
    head, colon, rest = text.partition(":")
    try:
        kind = PeriodKind(head)
    except ValueError:
        return None
    if not colon:
        return PeriodChoice(kind)
    if rest == "previous":
        return PeriodChoice(kind, is_previous=True)
    return PeriodChoice(kind, period_id=text) if _ID.fullmatch(text) else None


def find_current(periods: Sequence[Period], kind: PeriodKind, instant: datetime) -> Period | None:
    """Return the period of a kind that holds an instant; None in a gap between seasons."""
    return next((period for period in periods if period.kind is kind and period.holds(instant)), None)


def to_micros(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970, exactly, as `score.to_micros` does in SQL."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant, in UTC, that is so many microseconds after 1970 began."""
    return _EPOCH + micros * _MICROSECOND
