"""What a change of settings does to periods that are there."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import Period, PeriodKind, StoredPeriod
from score_service.periods.calendar import period_holding, season_period
from score_service.periods.settings_change import SettingsPatch, find_conflicts, list_changes
from score_service.periods.settings_rules import CALENDAR_KINDS, FaultKind


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_NOON = _utc("2026-11-30T12:00")
_WINTER = Season("winter", _utc("2026-11-01"), _utc("2027-02-01"), 60)
_SPRING = Season("spring", _utc("2027-02-01"), _utc("2027-05-01"))
_BERLIN = BoardSettings("Europe/Berlin", ("day", "week", "month"), (_WINTER, _SPRING))


def _stored(period: Period | None, *, is_final: bool = False) -> StoredPeriod:
    assert period is not None
    entry = 9 if is_final else None
    return StoredPeriod(period, number=1, opened_revision=1, closed_revision=entry, entry_revision=entry)


def _open_periods(settings: BoardSettings, *kinds: PeriodKind, now: datetime = _NOON) -> list[StoredPeriod]:
    return [_stored(period_holding(settings, kind, now)) for kind in kinds]


_ALL_OPEN = _open_periods(_BERLIN, *PeriodKind)


def _conflicts(after: BoardSettings, stored: Sequence[StoredPeriod]) -> list[tuple[str, FaultKind]]:
    return [(fault.field, fault.kind) for fault in find_conflicts(_BERLIN, after, stored)]


def _effective(after: BoardSettings, stored: Sequence[StoredPeriod]) -> dict[str, datetime | None]:
    return {change.field: change.effective_at for change in list_changes(_BERLIN, after, stored, _NOON)}


def test_a_patch_sets_what_it_names_and_nothing_else() -> None:
    assert SettingsPatch().apply(_BERLIN) == _BERLIN
    patched = SettingsPatch(grace_seconds=0, late=LatePolicy.REFUSE, periods=()).apply(_BERLIN)
    assert patched == replace(_BERLIN, grace_seconds=0, late=LatePolicy.REFUSE, periods=())


def test_settings_that_stay_as_they_are_alter_nothing() -> None:
    assert find_conflicts(_BERLIN, _BERLIN, _ALL_OPEN) == []
    assert list_changes(_BERLIN, _BERLIN, _ALL_OPEN, _NOON) == []


@pytest.mark.parametrize(
    ("season", "field"),
    [
        (replace(_WINTER, starts_at=_utc("2026-11-02")), "starts_at"),
        (replace(_WINTER, ends_at=_utc("2027-01-31")), "ends_at"),
        (replace(_WINTER, review_seconds=61), "review_seconds"),
    ],
)
def test_an_open_season_stays_as_it_is_and_the_fault_says_until_when(season: Season, field: str) -> None:
    after = replace(_BERLIN, seasons=(season, _SPRING))
    (fault,) = find_conflicts(_BERLIN, after, _ALL_OPEN)

    assert (fault.field, fault.kind) == (f"seasons[0].{field}", FaultKind.PERIOD_OPEN)
    assert "2027-02-01T00:11:00Z" in fault.rule


def test_an_open_season_is_not_taken_out() -> None:
    after = replace(_BERLIN, seasons=(_SPRING,))

    assert _conflicts(after, _ALL_OPEN) == [("seasons", FaultKind.PERIOD_OPEN)]
    assert "2027-02-01T00:11:00Z" in find_conflicts(_BERLIN, after, _ALL_OPEN)[0].rule


def test_a_season_that_nobody_has_points_in_can_be_changed() -> None:
    after = replace(_BERLIN, seasons=(replace(_WINTER, ends_at=_utc("2027-01-01")),))

    assert _conflicts(after, _open_periods(_BERLIN, *CALENDAR_KINDS)) == []


def test_a_final_season_can_be_taken_out() -> None:
    final = _stored(season_period(_BERLIN, _WINTER), is_final=True)

    assert _conflicts(replace(_BERLIN, seasons=(_SPRING,)), [final]) == []


def test_the_name_of_a_final_season_is_not_used_again() -> None:
    final = _stored(season_period(_BERLIN, _WINTER), is_final=True)
    again = replace(_WINTER, starts_at=_utc("2027-11-01"), ends_at=_utc("2028-02-01"))

    assert _conflicts(replace(_BERLIN, seasons=(_SPRING, again)), [final]) == [
        ("seasons[1].season_id", FaultKind.INVALID)
    ]


def test_a_new_season_does_not_begin_in_the_past_of_an_open_one() -> None:
    past = Season("past", _utc("2026-09-01"), _utc("2026-10-01"))
    after = replace(_BERLIN, seasons=(past, _WINTER, _SPRING))

    assert _conflicts(after, _ALL_OPEN) == [("seasons[0].starts_at", FaultKind.PERIOD_OPEN)]
    assert _conflicts(after, []) == []


def test_a_season_before_an_open_one_stays_where_nobody_had_points_in_it() -> None:
    past = Season("past", _utc("2026-09-01"), _utc("2026-10-01"))
    before = replace(_BERLIN, seasons=(past, _WINTER, _SPRING))

    assert find_conflicts(before, replace(before, keep=5), _ALL_OPEN) == []


def test_a_new_season_does_not_overlap_a_final_one() -> None:
    final = _stored(season_period(_BERLIN, _WINTER), is_final=True)
    other = Season("other", _utc("2027-01-01"), _utc("2027-04-01"))

    assert _conflicts(replace(_BERLIN, seasons=(other,)), [final]) == [
        ("seasons[0].starts_at", FaultKind.SEASONS_OVERLAP)
    ]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_another_zone_holds_from_the_next_period_on(zone: str) -> None:
    after = replace(_BERLIN, time_zone=zone)

    assert _conflicts(after, _ALL_OPEN) == []
    assert _effective(after, _ALL_OPEN) == {"time_zone": _utc("2026-11-30T23:00")}
    assert _effective(after, []) == {"time_zone": None}


def test_a_kind_that_is_taken_out_runs_to_the_end_of_its_period() -> None:
    after = replace(_BERLIN, periods=("week", "month"))

    assert _conflicts(after, _ALL_OPEN) == []
    assert _effective(after, _ALL_OPEN) == {"periods": _utc("2026-11-30T23:00")}
    assert _effective(after, []) == {"periods": None}


def test_a_kind_that_is_added_counts_at_once() -> None:
    changes = list_changes(replace(_BERLIN, periods=()), _BERLIN, [], _NOON)

    assert [(change.field, change.effective_at) for change in changes] == [("periods", None)]


def test_a_new_grace_is_that_of_the_next_period() -> None:
    after = replace(_BERLIN, grace_seconds=0)

    assert _conflicts(after, _ALL_OPEN) == []
    assert _effective(after, _ALL_OPEN) == {"grace_seconds": _utc("2026-11-30T23:00")}
    assert _effective(after, []) == {"grace_seconds": None}


def test_a_new_grace_of_a_board_of_seasons_is_that_of_the_next_season() -> None:
    seasons = replace(_BERLIN, periods=())
    changed = replace(seasons, grace_seconds=0)

    def effective(now: datetime, *stored: StoredPeriod) -> datetime | None:
        (change,) = list_changes(seasons, changed, stored, now)
        return change.effective_at

    assert effective(_NOON, _stored(season_period(seasons, _WINTER))) == _SPRING.starts_at
    assert effective(_utc("2026-10-01")) == _WINTER.starts_at
    assert effective(_SPRING.ends_at + timedelta(days=1)) is None


def test_new_seasons_hold_from_the_first_that_differs() -> None:
    later = replace(_BERLIN, seasons=(_WINTER, replace(_SPRING, ends_at=_utc("2027-04-01"))))

    assert _effective(later, _ALL_OPEN) == {"seasons": _SPRING.starts_at}
    assert _effective(replace(_BERLIN, seasons=()), []) == {"seasons": None}


def test_late_and_keep_hold_at_once() -> None:
    after = replace(_BERLIN, late=LatePolicy.REFUSE, keep=1)

    assert _conflicts(after, _ALL_OPEN) == []
    assert _effective(after, _ALL_OPEN) == {"late": None, "keep": None}


def test_changes_are_said_for_people() -> None:
    before = BoardSettings()
    after = BoardSettings("Europe/Berlin", ("day",), (_WINTER, _SPRING), 0, LatePolicy.REFUSE, 7)

    assert [(c.field, c.before, c.after) for c in list_changes(before, after, [], _NOON)] == [
        ("time_zone", "UTC", "Europe/Berlin"),
        ("periods", "none", "day"),
        (
            "seasons",
            "none",
            (
                "winter (2026-11-01T00:00:00Z to 2027-02-01T00:00:00Z, review 60 s),"
                " spring (2027-02-01T00:00:00Z to 2027-05-01T00:00:00Z)"
            ),
        ),
        ("grace_seconds", "600 s", "0 s"),
        ("late", "current", "refuse"),
        ("keep", "100", "7"),
    ]
