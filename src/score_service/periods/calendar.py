"""Where the days, weeks, months and seasons of a board start and end. Pure.

A boundary is worked out from its date alone, never from the boundary before, so that nothing adds up: not the
hour of a clock that was set, and not the short month after a long one.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from score_service.domain.board.board_settings import BoardSettings, Season
from score_service.domain.board.period import Period, PeriodKind
from score_service.periods.zone_data import PINNED, ZoneData

_DAY: Final = timedelta(days=1)


def period_holding(
    settings: BoardSettings, kind: PeriodKind, instant: datetime, zone_data: ZoneData = PINNED
) -> Period | None:
    """Return the period of a kind that holds an instant.

    Returns:
        None where the settings do not have the kind, and in a gap between seasons.
    """
    if kind is PeriodKind.SEASON:
        held = (season for season in settings.seasons if season.starts_at <= instant < season.ends_at)
        return next((season_period(settings, season, zone_data) for season in held), None)
    if kind.value not in settings.periods:
        return None
    today = instant.astimezone(zone_data.zone(settings.time_zone)).date()
    # A clock that is set back over midnight shows the date before again, in what is the next day already.
    nearby = (_period_of(settings, kind, today + days, zone_data) for days in (0 * _DAY, _DAY, -_DAY))
    return next(period for period in nearby if period.holds(instant))


def season_period(settings: BoardSettings, season: Season, zone_data: ZoneData = PINNED) -> Period:
    """Return the period of a season."""
    closes_at = season.ends_at + timedelta(seconds=settings.grace_seconds)
    return Period(
        period_id=f"{PeriodKind.SEASON.value}:{season.season_id}",
        kind=PeriodKind.SEASON,
        starts_at=season.starts_at,
        ends_at=season.ends_at,
        closes_at=closes_at,
        final_at=closes_at + timedelta(seconds=season.review_seconds),
        time_zone=settings.time_zone,
        zone_data=zone_data.version,
    )


def next_starts_at(
    settings: BoardSettings, kind: PeriodKind, instant: datetime, zone_data: ZoneData = PINNED
) -> datetime | None:
    """Return when the first period of a kind starts after an instant; None where none is known."""
    if kind is PeriodKind.SEASON:
        return min((s.starts_at for s in settings.seasons if s.starts_at > instant), default=None)
    period = period_holding(settings, kind, instant, zone_data)
    return period.ends_at if period is not None else None


def next_start_after(settings: BoardSettings, period: Period) -> datetime | None:
    """Return where the period after one of the same kind starts; None where none is known."""
    if period.kind is PeriodKind.SEASON:
        # The next season may start at the very end of this one.
        starts = (season.starts_at for season in settings.seasons if season.starts_at >= period.ends_at)
        return min(starts, default=None)
    return period.ends_at if period.kind.value in settings.periods else None


def periods_between(
    settings: BoardSettings,
    kind: PeriodKind,
    start: datetime,
    end: datetime,
    zone_data: ZoneData = PINNED,
) -> Iterator[Period]:
    """Make the periods of a kind that hold any instant of `[start, end)`, in order."""
    instant: datetime | None = start
    while instant is not None and instant < end:
        period = period_holding(settings, kind, instant, zone_data)
        if period is None:
            instant = next_starts_at(settings, kind, instant, zone_data)
        else:
            yield period
            instant = period.ends_at


def _period_of(settings: BoardSettings, kind: PeriodKind, day: date, zone_data: ZoneData) -> Period:
    first = _first_day(kind, day)
    zone = zone_data.zone(settings.time_zone)
    ends_at = _midnight(_first_day_after(kind, first), zone)
    closes_at = ends_at + timedelta(seconds=settings.grace_seconds)
    return Period(
        period_id=f"{kind.value}:{_name(kind, first)}",
        kind=kind,
        starts_at=_midnight(first, zone),
        ends_at=ends_at,
        closes_at=closes_at,
        final_at=closes_at,
        time_zone=settings.time_zone,
        zone_data=zone_data.version,
    )


def _midnight(day: date, zone: tzinfo) -> datetime:
    # Of a midnight that comes twice, fold 0 is the first. Where there is none, fold 0 counts by the clock
    # before it was set, which is the instant at which it was set.
    return datetime(day.year, day.month, day.day, tzinfo=zone, fold=0).astimezone(UTC)


def _first_day(kind: PeriodKind, day: date) -> date:
    match kind:
        case PeriodKind.WEEK:
            return day - day.weekday() * _DAY
        case PeriodKind.MONTH:
            return day.replace(day=1)
    return day


def _first_day_after(kind: PeriodKind, first: date) -> date:
    match kind:
        case PeriodKind.WEEK:
            return first + 7 * _DAY
        case PeriodKind.MONTH:
            return (first + 31 * _DAY).replace(day=1)
    return first + _DAY


def _name(kind: PeriodKind, first: date) -> str:
    match kind:
        case PeriodKind.WEEK:
            year, week, _ = first.isocalendar()
            return f"{year:04d}-W{week:02d}"
        case PeriodKind.MONTH:
            return first.isoformat()[:7]
    return first.isoformat()
