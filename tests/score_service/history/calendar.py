"""The periods of a board in UTC, written down a second time, on purpose. Pure."""

import datetime as dt
from typing import Final, NamedTuple

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import PeriodKind

START: Final = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
"""A Monday, at midnight."""
GRACE: Final = dt.timedelta(minutes=10)
KINDS: Final = (PeriodKind.DAY, PeriodKind.WEEK, PeriodKind.SEASON)
_DAY: Final = dt.timedelta(days=1)
_SEASONS: Final = (
    Season("one", START, START + 2 * _DAY, review_seconds=7200),
    Season("two", START + 3 * _DAY, START + 9 * _DAY),
)
"""With a gap between."""


class Span(NamedTuple):
    """A period."""

    period_id: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    review: dt.timedelta = dt.timedelta()

    @property
    def closes_at(self) -> dt.datetime:
        return self.ends_at + GRACE

    @property
    def final_at(self) -> dt.datetime:
        return self.closes_at + self.review


def settings_of(late: LatePolicy) -> BoardSettings:
    """Make the settings of a board with all kinds of periods but months."""
    return BoardSettings(
        periods=("day", "week"), seasons=_SEASONS, grace_seconds=int(GRACE.total_seconds()), late=late
    )


def holding(kind: PeriodKind, instant: dt.datetime) -> Span | None:
    """Return the period of a kind that holds an instant."""
    midnight = dt.datetime.combine(instant.date(), dt.time(), dt.UTC)
    match kind:
        case PeriodKind.DAY:
            return Span(f"day:{midnight:%Y-%m-%d}", midnight, midnight + _DAY)
        case PeriodKind.WEEK:
            monday = midnight - midnight.weekday() * _DAY
            return Span(f"week:{monday:%G-W%V}", monday, monday + 7 * _DAY)
        case _:
            for season in _SEASONS:
                if season.starts_at <= instant < season.ends_at:
                    review = dt.timedelta(seconds=season.review_seconds)
                    return Span(f"season:{season.season_id}", season.starts_at, season.ends_at, review)
            return None


def counting(late: LatePolicy, now: dt.datetime, occurred_at: dt.datetime | None) -> list[Span] | None:
    """Return the periods that an award counts in; None if it is rejected."""
    spans = list[Span]()
    for kind in KINDS:
        span = holding(kind, occurred_at or now)
        if span is not None and now >= span.closes_at:
            if late is LatePolicy.REFUSE:
                return None
            span = holding(kind, now) if late is LatePolicy.CURRENT else None
        if span is not None:
            spans.append(span)
    return spans
