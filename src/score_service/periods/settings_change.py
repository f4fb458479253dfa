"""What a change of a board's settings does to its periods. Pure.

A period is stored when it opens, and stays as it was stored. So a change holds for those that open after it:
a kind that is taken out runs to the end of its open period, a new grace is that of the next one, and in a new
time zone the next one starts where the open one ends. What cannot be like that is rejected: to change
a season that is open.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import Period, PeriodKind, StoredPeriod
from score_service.periods.calendar import next_starts_at, period_holding
from score_service.periods.settings_rules import CALENDAR_KINDS, FaultKind, SettingsFault
from score_service.periods.zone_data import PINNED, ZoneData


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPatch:
    """Settings to set; what is None stays as it is."""

    time_zone: str | None = None
    periods: tuple[str, ...] | None = None
    seasons: tuple[Season, ...] | None = None
    """All that the board has afterwards."""
    grace_seconds: int | None = None
    late: LatePolicy | None = None
    keep: int | None = None

    def apply(self, settings: BoardSettings) -> BoardSettings:
        """Return settings with these set."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(settings, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that a change alters."""

    field: str
    """A field of `BoardSettings`."""
    before: str
    """What it was, for people."""
    after: str
    """What it becomes, for people."""
    effective_at: datetime | None
    """The start of the first period that it shows in; None where it shows at once."""


def write_instant(instant: datetime) -> str:
    """Write an instant for people, as RFC 3339 in UTC."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def find_conflicts(
    before: BoardSettings, after: BoardSettings, stored: Iterable[StoredPeriod]
) -> list[SettingsFault]:
    """Return what a change cannot do because of seasons that are stored.

    Args:
        before: the settings in force.
        after: settings without faults, in the order in which they were given.
        stored: the periods that are not final, the last final one of each kind, and those of the seasons that
            `after` has and `before` has not.
    """
    seasons = [period for period in stored if period.period.kind is PeriodKind.SEASON]
    return [*_check_kept_seasons(after, seasons), *_check_new_seasons(before, after, seasons)]


def list_changes(
    before: BoardSettings,
    after: BoardSettings,
    stored: Sequence[StoredPeriod],
    now: datetime,
    zone_data: ZoneData = PINNED,
) -> list[SettingChange]:
    """Return what a change without conflicts alters, and from when on; nothing if all was so before."""
    open_until = {p.period.kind: p.period.ends_at for p in stored if p.period.holds(now)}
    effective = {
        "time_zone": _next_start(after, CALENDAR_KINDS, open_until, now, zone_data),
        "grace_seconds": _next_start(after, PeriodKind, open_until, now, zone_data),
        "periods": _periods_change_at(before, after, open_until),
        "seasons": _seasons_change_at(before, after, now),
    }
    return [
        SettingChange(
            field.name, _describe(field.name, was), _describe(field.name, is_now), effective.get(field.name)
        )
        for field in fields(BoardSettings)
        if (was := getattr(before, field.name)) != (is_now := getattr(after, field.name))
    ]


def _check_kept_seasons(after: BoardSettings, stored: Iterable[StoredPeriod]) -> Iterator[SettingsFault]:
    wanted = {f"season:{season.season_id}": (index, season) for index, season in enumerate(after.seasons)}
    for entry in stored:
        period = entry.period
        index, season = wanted.get(period.period_id, (None, None))
        if season is None or index is None:
            if not entry.is_final:
                yield _open_fault("seasons", f"must keep {period.period_id}, which is open", period.final_at)
            continue
        if entry.is_final:
            if (season.starts_at, season.ends_at) != (period.starts_at, period.ends_at):
                rule = (
                    f"must be a new name: {period.period_id} is final, since {write_instant(period.final_at)}"
                )
                yield SettingsFault(f"seasons[{index}].season_id", rule)
            continue
        for name, is_kept in _compare(season, period):
            if not is_kept:
                rule = f"must stay as it is, because {period.period_id} is open"
                yield _open_fault(f"seasons[{index}].{name}", rule, period.final_at)


def _compare(season: Season, period: Period) -> Iterator[tuple[str, bool]]:
    yield "starts_at", season.starts_at == period.starts_at
    yield "ends_at", season.ends_at == period.ends_at
    review = (period.final_at - period.closes_at).total_seconds()
    yield "review_seconds", season.review_seconds == review


def _check_new_seasons(
    before: BoardSettings, after: BoardSettings, stored: Sequence[StoredPeriod]
) -> Iterator[SettingsFault]:
    ids = {entry.period.period_id for entry in stored}
    for index, season in enumerate(after.seasons):
        if season in before.seasons or f"season:{season.season_id}" in ids:
            continue
        field = f"seasons[{index}].starts_at"
        for period, is_final in ((entry.period, entry.is_final) for entry in stored):
            if season.starts_at < period.ends_at and not is_final:
                rule = f"must not be before the end of {period.period_id}, which is open"
                yield _open_fault(field, rule, period.final_at)
            elif season.starts_at < period.ends_at and season.ends_at > period.starts_at:
                rule = f"must not be before the end of {period.period_id}, which is final"
                yield SettingsFault(field, rule, FaultKind.SEASONS_OVERLAP)


def _open_fault(field: str, rule: str, holds_from: datetime) -> SettingsFault:
    return SettingsFault(
        field, f"{rule}; this can hold from {write_instant(holds_from)} on", FaultKind.PERIOD_OPEN
    )


_Ends = dict[PeriodKind, datetime]


def _next_start(
    settings: BoardSettings,
    kinds: Iterable[PeriodKind],
    open_until: _Ends,
    now: datetime,
    zone_data: ZoneData,
) -> datetime | None:
    starts = []
    for kind in kinds:
        if kind in open_until:
            held = period_holding(settings, kind, open_until[kind], zone_data)
            starts.append(
                open_until[kind] if held else next_starts_at(settings, kind, open_until[kind], zone_data)
            )
        elif period_holding(settings, kind, now, zone_data):
            return None
        else:
            starts.append(next_starts_at(settings, kind, now, zone_data))
    return min(filter(None, starts), default=None)


def _periods_change_at(before: BoardSettings, after: BoardSettings, open_until: _Ends) -> datetime | None:
    altered = [
        kind for kind in CALENDAR_KINDS if (kind.value in before.periods) != (kind.value in after.periods)
    ]
    if any(kind not in open_until for kind in altered):
        return None
    return min((open_until[kind] for kind in altered), default=None)


def _seasons_change_at(before: BoardSettings, after: BoardSettings, now: datetime) -> datetime | None:
    altered = set(before.seasons) ^ set(after.seasons)
    first = min((season.starts_at for season in altered), default=now)
    return first if first > now else None


def _describe(field: str, value: object) -> str:
    match value:
        case LatePolicy():
            return value.value
        case tuple():
            return ", ".join(map(_describe_item, value)) or "none"
    return f"{value} s" if field == "grace_seconds" else str(value)


def _describe_item(item: object) -> str:
    if not isinstance(item, Season):
        return str(item)
    review = f", review {item.review_seconds} s" if item.review_seconds else ""
    return f"{item.season_id} ({write_instant(item.starts_at)} to {write_instant(item.ends_at)}{review})"
