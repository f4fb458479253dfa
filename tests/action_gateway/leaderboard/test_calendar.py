"""The current periods of boards, as a gateway knows them."""

from datetime import datetime, timedelta

import pytest
from tests.action_gateway.scripted_board import day_of
from tests.fixtures.clocks import SetClock

from action_gateway.errors import UnavailableError
from action_gateway.leaderboard.calendar import Calendar
from score_client.errors import BoardNotFoundError, PeriodUnknownError, ScoreClientError
from score_client.errors import UnavailableError as ScoreUnavailableError
from score_client.types import Period, PeriodKind, Source, StandingsView


class ScriptedDays:
    """Answers with the period that a test sets, and counts how often it was asked."""

    def __init__(self, period: Period | None = None) -> None:
        self.period = period
        self.error: ScoreClientError | None = None
        self.asked: list[tuple[str, str]] = []

    async def list_standings(self, *, board_id: str, page_size: int, period: str) -> StandingsView:
        self.asked.append((board_id, period))
        if self.error:
            raise self.error
        return StandingsView(standings=(), revision=1, position="", source=Source.CACHE, period=self.period)


def at(instant: datetime) -> SetClock:
    return SetClock(instant.timestamp())


FIRST, SECOND = day_of(1), day_of(2)
NOON = FIRST.starts_at + timedelta(hours=12)


async def test_a_day_is_named_by_its_date_and_asked_for_once() -> None:
    source = ScriptedDays(FIRST)
    calendar = Calendar(source, at(NOON))
    assert [await calendar.find_day("main") for _ in range(3)] == ["2026-12-01"] * 3
    assert await calendar.find_current("main", PeriodKind.DAY) == FIRST
    assert source.asked == [("main", "day")]


async def test_each_board_and_kind_is_asked_for_by_itself() -> None:
    source = ScriptedDays(FIRST)
    calendar = Calendar(source, at(NOON))
    await calendar.find_day("main")
    await calendar.find_day("other")
    await calendar.find_current("main", PeriodKind.WEEK)
    assert source.asked == [("main", "day"), ("other", "day"), ("main", "week")]


async def test_the_next_day_begins_at_its_first_instant() -> None:
    source, clock = ScriptedDays(FIRST), at(FIRST.ends_at - timedelta(seconds=1))
    calendar = Calendar(source, clock)
    await calendar.find_day("main")
    source.period = SECOND
    clock.now = FIRST.ends_at.timestamp() - 0.001
    assert await calendar.find_day("main") == "2026-12-01"
    clock.now = FIRST.ends_at.timestamp()
    assert await calendar.find_day("main") == "2026-12-02"


async def test_the_day_of_the_score_service_counts_where_the_clocks_differ() -> None:
    source, clock = ScriptedDays(FIRST), at(FIRST.ends_at + timedelta(seconds=2))
    calendar = Calendar(source, clock)
    assert [await calendar.find_day("main") for _ in range(2)] == ["2026-12-01"] * 2
    assert len(source.asked) == 1
    source.period = SECOND
    clock.now += 1
    assert await calendar.find_day("main") == "2026-12-02"


async def test_a_server_whose_clock_is_behind_does_not_bring_the_former_day_back() -> None:
    source, clock = ScriptedDays(SECOND), at(SECOND.starts_at)
    calendar = Calendar(source, clock)
    await calendar.find_day("main")
    source.period = FIRST
    clock.now += 11
    assert await calendar.find_day("main") == "2026-12-02"
    assert len(source.asked) == 2


async def test_a_change_of_the_settings_is_known_after_a_while() -> None:
    source, clock = ScriptedDays(), at(NOON)
    calendar = Calendar(source, clock)
    assert await calendar.find_day("main") == ""
    source.period = FIRST
    assert await calendar.find_day("main") == ""
    clock.now += 11
    assert await calendar.find_day("main") == "2026-12-01"


@pytest.mark.parametrize(
    "error", [PeriodUnknownError("PERIOD_UNKNOWN", ""), BoardNotFoundError("NO_BOARD", "")]
)
async def test_a_board_that_has_no_days_has_none(error: ScoreClientError) -> None:
    source = ScriptedDays()
    source.error = error
    assert await Calendar(source, at(NOON)).find_day("main") == ""


async def test_a_day_that_cannot_be_read_is_no_day_of_another_kind() -> None:
    source, clock = ScriptedDays(), at(NOON)
    source.error = ScoreUnavailableError("UNAVAILABLE", "unavailable")
    calendar = Calendar(source, clock)
    with pytest.raises(UnavailableError):
        await calendar.find_day("main")
    source.error, source.period = None, FIRST
    assert await calendar.find_day("main") == "2026-12-01"


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("action_gateway.leaderboard.calendar._KEPT_MAX", 2)
    source = ScriptedDays(FIRST)
    calendar = Calendar(source, at(NOON))
    for board_id in ("a", "b", "c", "a"):
        await calendar.find_day(board_id)
    assert len(source.asked) == 4
