"""Which settings are right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from score_service.domain.board.board_settings import (
    GRACE_MAX,
    KEEP_MAX,
    REVIEW_MAX,
    SEASONS_MAX,
    BoardSettings,
    Season,
)
from score_service.periods.settings_rules import FaultKind, find_faults, put_in_order

_SPRING = datetime(2027, 3, 1, tzinfo=UTC)
_SUMMER = datetime(2027, 6, 1, tzinfo=UTC)
_AUTUMN = datetime(2027, 9, 1, tzinfo=UTC)
_RIGHT = BoardSettings(
    time_zone="Europe/Berlin",
    periods=("day", "week", "month"),
    seasons=(Season("spring", _SPRING, _SUMMER), Season("summer", _SUMMER, _AUTUMN)),
)


def _fields(settings: BoardSettings) -> list[str]:
    return [fault.field for fault in find_faults(settings)]


@pytest.mark.parametrize(
    "settings",
    [
        BoardSettings(),
        _RIGHT,
        replace(_RIGHT, periods=("month", "day"), seasons=_RIGHT.seasons[::-1]),
        replace(_RIGHT, grace_seconds=GRACE_MAX, keep=KEEP_MAX),
        replace(_RIGHT, grace_seconds=0, keep=1),
        BoardSettings(seasons=(Season("a" * 64, _SPRING, _SUMMER, REVIEW_MAX),)),
    ],
)
def test_right_settings_have_no_faults(settings: BoardSettings) -> None:
    assert find_faults(settings) == []


@pytest.mark.parametrize(
    "name", ["", "CET", "EET", "MET", "WET", "Europe/Bonn", "europe/berlin", "+01:00", "../etc/passwd"]
)
def test_a_time_zone_is_a_name_of_the_zone_data(name: str) -> None:
    (fault,) = find_faults(BoardSettings(time_zone=name))

    assert (fault.field, fault.kind) == ("time_zone", FaultKind.TIME_ZONE_UNKNOWN)


@pytest.mark.parametrize("periods", [("hour",), ("season",), ("all_time",), ("day", "day"), ("",)])
def test_periods_are_kinds_of_the_calendar_each_once(periods: tuple[str, ...]) -> None:
    assert _fields(BoardSettings(periods=periods)) == ["periods"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (BoardSettings(grace_seconds=-1), "grace_seconds"),
        (BoardSettings(grace_seconds=GRACE_MAX + 1), "grace_seconds"),
        (BoardSettings(keep=0), "keep"),
        (BoardSettings(keep=KEEP_MAX + 1), "keep"),
    ],
)
def test_numbers_have_a_range(settings: BoardSettings, field: str) -> None:
    assert _fields(settings) == [field]


@pytest.mark.parametrize(
    ("season", "field"),
    [
        (Season("", _SPRING, _SUMMER), "season_id"),
        (Season("a b", _SPRING, _SUMMER), "season_id"),
        (Season("a" * 65, _SPRING, _SUMMER), "season_id"),
        (Season("a\n", _SPRING, _SUMMER), "season_id"),
        (Season("empty", _SPRING, _SPRING), "ends_at"),
        (Season("backwards", _SUMMER, _SPRING), "ends_at"),
        (Season("review", _SPRING, _SUMMER, REVIEW_MAX + 1), "review_seconds"),
        (Season("review", _SPRING, _SUMMER, -1), "review_seconds"),
        (Season("early", datetime(1969, 1, 1, tzinfo=UTC), _SUMMER), "starts_at"),
        (Season("late", _AUTUMN + timedelta(days=1), datetime(9000, 1, 1, tzinfo=UTC)), "ends_at"),
    ],
)
def test_a_fault_of_a_season_names_its_place(season: Season, field: str) -> None:
    other = Season("other", _AUTUMN, _AUTUMN + timedelta(days=1))

    assert _fields(BoardSettings(seasons=(other, season))) == [f"seasons[1].{field}"]


def test_a_name_is_of_one_season_only() -> None:
    twice = BoardSettings(seasons=(Season("a", _SPRING, _SUMMER), Season("a", _SUMMER, _AUTUMN)))

    assert _fields(twice) == ["seasons[1].season_id"]


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "place"),
    [
        (_SUMMER - timedelta(microseconds=1), _AUTUMN, "seasons[1]"),
        (_SPRING - timedelta(days=1), _SPRING + timedelta(days=1), "seasons[0]"),
        (_SPRING + timedelta(days=1), _SUMMER - timedelta(days=1), "seasons[1]"),
        (_SPRING - timedelta(days=1), _SUMMER + timedelta(days=1), "seasons[0]"),
        (_SPRING, _SUMMER, "seasons[1]"),
    ],
)
def test_seasons_do_not_overlap(starts_at: datetime, ends_at: datetime, place: str) -> None:
    settings = BoardSettings(
        seasons=(Season("spring", _SPRING, _SUMMER), Season("other", starts_at, ends_at))
    )
    (fault,) = find_faults(settings)

    assert (fault.field, fault.kind) == (f"{place}.starts_at", FaultKind.SEASONS_OVERLAP)


def test_there_are_not_more_seasons_than_a_board_may_have() -> None:
    def many(count: int) -> BoardSettings:
        hour = timedelta(hours=1)
        return BoardSettings(
            seasons=tuple(Season(f"s{n}", _SPRING + n * hour, _SPRING + (n + 1) * hour) for n in range(count))
        )

    assert find_faults(many(SEASONS_MAX)) == []
    assert _fields(many(SEASONS_MAX + 1)) == ["seasons"]


def test_all_faults_are_found_at_once() -> None:
    wrong = BoardSettings("Mars", ("hour",), (Season("", _SUMMER, _SPRING, -1),), -1, keep=0)

    assert _fields(wrong) == [
        "time_zone",
        "periods",
        "grace_seconds",
        "keep",
        "seasons[0].season_id",
        "seasons[0].review_seconds",
        "seasons[0].ends_at",
    ]


def test_periods_and_seasons_are_put_in_order() -> None:
    mixed = replace(_RIGHT, periods=("month", "day", "week"), seasons=_RIGHT.seasons[::-1])

    assert put_in_order(mixed) == _RIGHT
