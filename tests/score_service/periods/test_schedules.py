"""Which periods a schedule has."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import PeriodKind, find_current
from score_service.periods.calendar import period_holding
from score_service.periods.schedules import REACH, make_schedule

from .zones import FIRST, in_zone, instants, zone_names


@given(zone_names, instants, st.integers(-3600, 3599), st.lists(instants, max_size=5))
def test_a_schedule_is_complete_for_its_time_and_for_what_happened_before(
    zone: str, now: datetime, seconds: int, occurred: list[datetime]
) -> None:
    settings = in_zone(zone)
    schedule = make_schedule(7, settings, now, occurred)
    ledger_time = now + seconds * REACH / 3600

    assert schedule.valid_from <= ledger_time < schedule.valid_until
    for kind in PeriodKind:
        for instant in (ledger_time, *occurred):
            expected = period_holding(settings, kind, instant)
            assert find_current(schedule.periods, kind, instant) == expected


@given(zone_names, instants, st.lists(instants, max_size=5))
def test_a_schedule_names_a_period_once_in_order(zone: str, now: datetime, occurred: list[datetime]) -> None:
    kinds = list(PeriodKind)
    order = [
        (kinds.index(p.kind), p.starts_at) for p in make_schedule(7, in_zone(zone), now, occurred).periods
    ]

    assert order == sorted(set(order))


@pytest.mark.parametrize("kind", [PeriodKind.DAY, PeriodKind.WEEK, PeriodKind.MONTH])
def test_the_period_after_one_that_ends_within_a_day_is_there(kind: PeriodKind) -> None:
    settings = in_zone("America/Los_Angeles")
    boundary = datetime(2027, 2, 1, 8, tzinfo=UTC)  # Of all three kinds: a Monday.
    schedule = make_schedule(7, settings, boundary - timedelta(hours=26))

    assert find_current(schedule.periods, kind, boundary) == period_holding(settings, kind, boundary)


def test_a_season_that_starts_within_the_hour_is_there() -> None:
    season = Season("spring", FIRST + timedelta(minutes=59), FIRST + timedelta(days=1))
    later = Season("summer", FIRST + timedelta(days=1), FIRST + timedelta(days=2))
    schedule = make_schedule(3, BoardSettings(seasons=(season, later)), FIRST)

    assert [period.period_id for period in schedule.periods] == ["season:spring"]


def test_seasons_of_seconds_are_all_there() -> None:
    seasons = tuple(
        Season(f"s{n}", FIRST + timedelta(seconds=10 * n), FIRST + timedelta(seconds=10 * n + 9))
        for n in range(5)
    )
    schedule = make_schedule(3, BoardSettings(seasons=seasons), FIRST + timedelta(seconds=25))

    assert [period.period_id for period in schedule.periods] == [f"season:s{n}" for n in range(5)]


def test_a_schedule_says_what_it_was_made_from() -> None:
    schedule = make_schedule(5, BoardSettings(late=LatePolicy.REFUSE), FIRST)

    assert (schedule.settings_revision, schedule.late, schedule.periods) == (5, LatePolicy.REFUSE, ())
    assert (schedule.valid_from, schedule.valid_until) == (FIRST - REACH, FIRST + REACH)
