"""Where periods start and end."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.board.board_settings import BoardSettings, Season
from score_service.domain.board.period import Period, PeriodKind
from score_service.periods.calendar import next_starts_at, period_holding, periods_between, season_period
from score_service.periods.settings_rules import CALENDAR_KINDS
from score_service.periods.zone_data import PINNED, ZoneData

from .zones import FIRST, LAST, in_zone, instants, zone_names

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_kinds = st.sampled_from(CALENDAR_KINDS)


def _find(settings: BoardSettings, kind: PeriodKind, instant: datetime) -> Period:
    period = period_holding(settings, kind, instant)
    assert period is not None
    return period


def _day(time_zone: str, day: str) -> Period:
    """Find a day by its date."""
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=PINNED.zone(time_zone))
    period = _find(in_zone(time_zone), PeriodKind.DAY, noon.astimezone(UTC))
    assert period.period_id == f"day:{day}"
    return period


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(zone_names, _kinds, instants)
def test_every_instant_is_in_exactly_one_period_of_a_kind(
    zone: str, kind: PeriodKind, instant: datetime
) -> None:
    settings = in_zone(zone)
    period = _find(settings, kind, instant)

    assert period.holds(instant)
    assert _find(settings, kind, period.starts_at) == period
    assert _find(settings, kind, period.ends_at - _TICK) == period


@given(zone_names, _kinds, instants)
def test_a_period_starts_where_the_one_before_it_ends(zone: str, kind: PeriodKind, instant: datetime) -> None:
    settings = in_zone(zone)
    period = _find(settings, kind, instant)
    following = _find(settings, kind, period.ends_at)
    preceding = _find(settings, kind, period.starts_at - _TICK)

    assert following.starts_at == period.ends_at == next_starts_at(settings, kind, instant)
    assert preceding.ends_at == period.starts_at
    assert preceding.period_id < period.period_id < following.period_id


@given(zone_names, _kinds, instants, st.integers(1, 400))
def test_many_periods_one_after_the_other_end_where_the_date_says(
    zone: str, kind: PeriodKind, instant: datetime, count: int
) -> None:
    settings = in_zone(zone)
    period = _find(settings, kind, instant)
    for _ in range(count):
        period = _find(settings, kind, period.ends_at)

    middle = period.starts_at + (period.ends_at - period.starts_at) / 2
    assert _find(settings, kind, middle) == period
    assert _first_instant_of(period.starts_at.astimezone(PINNED.zone(zone)).date(), zone) == period.starts_at


def _first_instant_of(day: date, zone: str) -> datetime:
    """Search for the first instant whose local date is the day or later, without any arithmetic of zones."""
    place = PINNED.zone(zone)
    low = datetime(day.year, day.month, day.day, tzinfo=UTC) - 2 * _DAY
    steps = range(4 * 24 * 12)
    first = next(n for n in steps if (low + n * timedelta(minutes=5)).astimezone(place).date() >= day)
    return low + first * timedelta(minutes=5)


def test_in_every_zone_a_boundary_is_the_first_instant_of_its_date() -> None:
    checked = 0
    for name in _distinct_zones():
        zone = PINNED.zone(name)
        settings = in_zone(name)
        for noon in _days_around_changes(zone):
            period = _find(settings, PeriodKind.DAY, noon)
            assert period.starts_at.astimezone(zone).date() == date.fromisoformat(period.period_id[4:]), name
            before = (period.starts_at - _TICK - n * timedelta(minutes=30) for n in range(2 * 26))
            assert all(
                instant.astimezone(zone).date() < noon.astimezone(zone).date() for instant in before
            ), name
            checked += 1
    assert checked > 5_000


def _distinct_zones() -> list[str]:
    """Choose one of all names that stand for the same rules."""
    folder = files("tzdata") / "zoneinfo"
    return list(
        {folder.joinpath(*name.split("/")).read_bytes(): name for name in sorted(PINNED.names)}.values()
    )


def _days_around_changes(zone: tzinfo) -> Iterator[datetime]:
    """Make the noons of the days on which the clock is set, and of those beside them."""
    weeks = [FIRST + 7 * week * _DAY for week in range((LAST - FIRST) // _DAY // 7)]
    offsets = [week.astimezone(zone).utcoffset() for week in weeks]
    for week, offset, following in zip(weeks, offsets, offsets[1:], strict=False):
        if offset != following:
            days = [(week + day * _DAY).astimezone(zone).replace(hour=12) for day in range(9)]
            for before, after in pairwise(days):
                if before.utcoffset() != after.utcoffset():
                    yield from (noon.astimezone(UTC) for noon in (before, after, after + _DAY))


@pytest.mark.parametrize(
    ("zone", "day", "starts_at", "hours"),
    [
        # Its midnight does not exist: the clock goes from 24:00 to 01:00.
        ("America/Santiago", "2027-09-05", "2027-09-05T04:00", 23),
        ("Africa/Cairo", "2027-04-30", "2027-04-29T22:00", 23),
        ("Asia/Beirut", "2027-03-28", "2027-03-27T22:00", 23),
        ("Atlantic/Azores", "2027-03-28", "2027-03-28T01:00", 23),
        ("America/Havana", "2026-03-08", "2026-03-08T05:00", 23),
        # Its midnight comes twice: the clock goes from 01:00 to 00:00.
        ("Atlantic/Azores", "2027-10-31", "2027-10-31T00:00", 25),
        ("America/Havana", "2027-11-07", "2027-11-07T04:00", 25),
        # The clock goes from 24:00 to 23:00, so the day before is the long one.
        ("Africa/Cairo", "2027-10-28", "2027-10-27T21:00", 25),
        ("Asia/Beirut", "2027-10-30", "2027-10-29T21:00", 25),
        ("America/Santiago", "2027-04-03", "2027-04-03T03:00", 25),
        # It is set by half an hour, and in the night, and never.
        ("Australia/Lord_Howe", "2027-10-03", "2027-10-02T13:30", 23.5),
        ("Europe/Berlin", "2027-03-28", "2027-03-27T23:00", 23),
        ("Europe/Berlin", "2027-10-31", "2027-10-30T22:00", 25),
        ("Asia/Kathmandu", "2027-03-28", "2027-03-27T18:15", 24),
    ],
)
def test_a_day_is_as_long_as_the_clock_makes_it(zone: str, day: str, starts_at: str, hours: float) -> None:
    period = _day(zone, day)

    assert period.starts_at == _utc(starts_at)
    assert period.ends_at - period.starts_at == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "day"), [("Atlantic/Azores", "2027-10-31"), ("America/Havana", "2027-11-07")]
)
def test_both_passes_of_a_doubled_hour_are_in_the_day_that_it_begins(zone: str, day: str) -> None:
    period = _day(zone, day)
    halves = [period.starts_at + timedelta(minutes=30), period.starts_at + timedelta(minutes=90)]

    assert len({half.astimezone(PINNED.zone(zone)).replace(tzinfo=None) for half in halves}) == 1
    assert all(period.holds(half) for half in halves)


def test_a_date_that_comes_again_after_midnight_is_in_the_next_day_already() -> None:
    # St. John's set its clock at 00:01 until 2011.
    settings = in_zone("America/St_Johns")
    again = datetime(2010, 11, 7, 2, 45, tzinfo=UTC)  # 23:15 of 6 November, for the second time.

    assert again.astimezone(PINNED.zone("America/St_Johns")).date() == date(2010, 11, 6)
    assert _find(settings, PeriodKind.DAY, again).period_id == "day:2010-11-07"


def test_a_date_that_never_was_holds_nothing() -> None:
    settings = in_zone("Pacific/Apia")
    before = _find(settings, PeriodKind.DAY, _utc("2011-12-30T09:59"))
    after = _find(settings, PeriodKind.DAY, _utc("2011-12-30T10:00"))

    assert (before.period_id, after.period_id) == ("day:2011-12-29", "day:2011-12-31")
    assert before.ends_at == after.starts_at


@pytest.mark.parametrize(
    ("instant", "week"),
    [
        ("2027-01-01T00:00", "2026-W53"),
        ("2027-01-03T23:59", "2026-W53"),
        ("2027-01-04T00:00", "2027-W01"),
        ("2024-12-30T00:00", "2025-W01"),
        ("2021-01-03T12:00", "2020-W53"),
        ("2032-12-31T12:00", "2032-W53"),
    ],
)
def test_weeks_are_those_of_iso_8601(instant: str, week: str) -> None:
    period = _find(in_zone("UTC"), PeriodKind.WEEK, _utc(instant))

    assert period.period_id == f"week:{week}"
    assert period.starts_at.isoweekday() == 1
    assert period.ends_at - period.starts_at == 7 * _DAY


def test_months_end_on_their_last_day() -> None:
    months = list(periods_between(in_zone("UTC"), PeriodKind.MONTH, _utc("2027-10-31"), _utc("2028-03-31")))

    assert [(month.period_id[6:], (month.ends_at - month.starts_at).days) for month in months] == [
        ("2027-10", 31),
        ("2027-11", 30),
        ("2027-12", 31),
        ("2028-01", 31),
        ("2028-02", 29),
        ("2028-03", 31),
    ]


def test_a_week_and_a_month_start_with_a_day_of_their_zone() -> None:
    settings = in_zone("America/Santiago")
    week = _find(settings, PeriodKind.WEEK, _utc("2027-09-08T12:00"))
    month = _find(settings, PeriodKind.MONTH, _utc("2027-09-08T12:00"))

    assert week.starts_at == _utc("2027-09-06T03:00")
    assert month.starts_at == _utc("2027-09-01T04:00")


def test_a_board_has_the_kinds_that_it_names_and_no_others() -> None:
    settings = BoardSettings(periods=("week",))

    assert period_holding(settings, PeriodKind.WEEK, FIRST) is not None
    for kind in (PeriodKind.DAY, PeriodKind.MONTH, PeriodKind.SEASON):
        assert period_holding(settings, kind, FIRST) is None
        assert next_starts_at(settings, kind, FIRST) is None
        assert list(periods_between(settings, kind, FIRST, LAST)) == []


_AUTUMN = Season("autumn", _utc("2026-09-01"), _utc("2026-12-01"), review_seconds=3600)
_WINTER = Season("winter", _utc("2026-12-15"), _utc("2027-03-01"))
_WITH_SEASONS = BoardSettings(seasons=(_AUTUMN, _WINTER), grace_seconds=60)


def test_a_season_is_what_the_settings_say() -> None:
    period = period_holding(_WITH_SEASONS, PeriodKind.SEASON, _utc("2026-11-30T23:59"))

    assert period == season_period(_WITH_SEASONS, _AUTUMN)
    assert period.period_id == "season:autumn"
    assert period.closes_at - period.ends_at == timedelta(seconds=60)
    assert period.final_at - period.closes_at == timedelta(hours=1)


def test_between_seasons_there_is_none_but_the_next_is_known() -> None:
    gap = _utc("2026-12-01")

    assert period_holding(_WITH_SEASONS, PeriodKind.SEASON, gap) is None
    assert next_starts_at(_WITH_SEASONS, PeriodKind.SEASON, gap) == _WINTER.starts_at
    assert next_starts_at(_WITH_SEASONS, PeriodKind.SEASON, _WINTER.starts_at) is None


def test_seasons_between_two_instants_are_found_across_gaps() -> None:
    found = periods_between(_WITH_SEASONS, PeriodKind.SEASON, _utc("2026-11-30"), _utc("2026-12-16"))

    assert [period.period_id for period in found] == ["season:autumn", "season:winter"]


def test_a_period_says_its_grace_its_zone_and_the_version_of_the_data() -> None:
    settings = BoardSettings(time_zone="Europe/Berlin", periods=("day",), grace_seconds=90)
    period = _find(settings, PeriodKind.DAY, _utc("2026-11-30T12:00"))

    assert period.closes_at == period.final_at == _utc("2026-11-30T23:01:30")
    assert (period.time_zone, period.zone_data) == ("Europe/Berlin", PINNED.version)


def test_other_zone_data_move_the_boundaries() -> None:
    other = ZoneData("2031a", PINNED.names, lambda name: PINNED.zone("Asia/Tokyo"))
    period = period_holding(in_zone("Europe/Berlin"), PeriodKind.DAY, _utc("2026-11-30T12:00"), other)

    assert period is not None
    assert (period.starts_at, period.zone_data) == (_utc("2026-11-29T15:00"), "2031a")
