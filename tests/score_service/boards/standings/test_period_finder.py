"""Which period a reader is shown."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fixtures.clocks import SetClock
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, Moment
from tests.fixtures.servers.postgres import Database as Server

from score_service.boards.standings.period_finder import FoundPeriod, PeriodFinder
from score_service.boards.standings.shared_reads import RecordReader, RecordReaderSettings
from score_service.domain.board.board_settings import BoardSettings, Season
from score_service.domain.board.period import (
    PeriodChoice,
    PeriodKind,
    PeriodState,
    PeriodView,
    parse_period_choice,
)
from score_service.errors import BoardNotFoundError, PeriodUnknownError, RecordUnavailableError
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from service_runtime.postgres.pool import PoolSettings

MINUTE = timedelta(minutes=1)


def choose(text: str) -> PeriodChoice:
    choice = parse_period_choice(text)
    assert choice is not None
    return choice


async def find(finder: PeriodFinder, text: str, board_id: str = "main") -> str:
    return (await finder.find(board_id, choose(text))).period_id


def view_of(found: FoundPeriod, moment: Moment, entrants: int = 0) -> PeriodView:
    return found.view(moment(), entrants)


@pytest.mark.parametrize(
    ("text", "period_id"),
    [("day", "day:2026-11-30"), ("week", "week:2026-W49"), ("month", "month:2026-11")],
)
async def test_current_period_is_there_before_anyone_has_points_in_it(
    period_boards: PeriodBoards, finder: PeriodFinder, text: str, period_id: str
) -> None:
    found = await finder.find("main", choose(text))

    assert (found.period_id, found.stored, found.is_final) == (period_id, None, False)
    assert found.next_starts_at == found.period.ends_at


async def test_current_period_is_the_next_one_at_the_instant_at_which_it_begins(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment
) -> None:
    moment.set(MONDAY + DAY - timedelta(microseconds=1))
    before = await find(finder, "day")
    moment.set(MONDAY + DAY)

    assert (before, await find(finder, "day")) == ("day:2026-11-30", "day:2026-12-01")


async def test_period_says_how_far_it_has_come(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment
) -> None:
    await period_boards.award()
    choice, states = choose("day:2026-11-30"), []
    for now in (MONDAY + 12 * HOUR, MONDAY + DAY, MONDAY + DAY + 10 * MINUTE):
        moment.set(now)
        states.append(view_of(await finder.find("main", choice), moment).state)
    await period_boards.close("day:2026-11-30")
    final = await finder.find("main", choice, anew=True)

    assert states == [PeriodState.OPEN, PeriodState.CLOSING, PeriodState.REVIEW]
    assert view_of(final, moment, 1) == PeriodView(final.period, PeriodState.FINAL, MONDAY + DAY, 1)


async def test_period_that_has_ended_without_anyone_is_there_until_it_closes(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment
) -> None:
    moment.set(MONDAY + DAY + 10 * MINUTE - timedelta(microseconds=1))
    assert await find(finder, "day:2026-11-30") == "day:2026-11-30"
    moment.set(MONDAY + DAY + 10 * MINUTE)

    with pytest.raises(PeriodUnknownError):
        await find(finder, "day:2026-11-30")


@pytest.mark.parametrize(
    "text",
    [
        "day:2026-12-01",
        "day:2026-11-29",
        "day:2026-99-99",
        "week:2026-W50",
        "season",
        "season:x",
        "day:previous",
    ],
)
async def test_period_that_is_to_come_or_was_never_there_is_unknown(
    period_boards: PeriodBoards, finder: PeriodFinder, text: str
) -> None:
    with pytest.raises(PeriodUnknownError):
        await find(finder, text)


async def test_kind_that_the_board_does_not_have_is_unknown_and_so_is_a_board(
    period_boards: PeriodBoards, finder: PeriodFinder
) -> None:
    await period_boards.configure(BoardSettings(periods=("week",)), "weekly")

    with pytest.raises(PeriodUnknownError):
        await find(finder, "day", "weekly")
    with pytest.raises(BoardNotFoundError):
        await find(finder, "day", "nowhere")


async def test_previous_period_is_the_last_final_one_and_not_the_last_that_ended(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment
) -> None:
    await period_boards.award()
    moment.set(MONDAY + DAY + HOUR)
    await period_boards.award()
    await period_boards.close("day:2026-11-30")
    moment.set(MONDAY + 2 * DAY + HOUR)

    assert await find(finder, "day:previous") == "day:2026-11-30"


async def test_season_says_when_the_next_one_starts_and_a_gap_has_none(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment
) -> None:
    seasons = (
        Season("one", MONDAY, MONDAY + DAY),
        Season("two", MONDAY + 2 * DAY, MONDAY + 3 * DAY),
    )
    await period_boards.configure(BoardSettings(seasons=seasons, grace_seconds=60), "seasonal")

    one = await finder.find("seasonal", choose("season"))
    moment.set(MONDAY + DAY)
    with pytest.raises(PeriodUnknownError):
        await find(finder, "season", "seasonal")
    closing = await find(finder, "season:one", "seasonal")
    moment.set(MONDAY + 2 * DAY)
    two = await finder.find("seasonal", choose("season"))

    assert (one.period_id, one.next_starts_at) == (closing, MONDAY + 2 * DAY)
    assert (two.period_id, two.next_starts_at) == ("season:two", None)


async def test_what_is_stored_of_a_period_goes_before_what_would_be_worked_out_today(
    period_boards: PeriodBoards, finder: PeriodFinder, database: Server, moment: Moment
) -> None:
    await period_boards.award()
    stored = await period_boards.periods.find("main", "day:2026-11-30")
    assert stored is not None
    settings = BoardSettings(time_zone="Europe/Berlin", periods=("day",))
    await period_boards.configure(settings)
    moment.set(MONDAY + 23 * HOUR + 30 * MINUTE)
    current = await finder.find("main", choose("day"))
    moment.set(MONDAY + DAY)
    following = await finder.find("main", choose("day"), anew=True)

    assert current.period == stored.period
    assert (following.period_id, following.period.starts_at) == ("day:2026-12-01", stored.period.ends_at)
    assert following.period.ends_at == MONDAY + 2 * DAY - HOUR


@pytest.mark.parametrize("is_final", [False, True])
async def test_after_a_period_whose_date_is_not_over_in_a_new_zone_the_next_one_is_current(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment, *, is_final: bool
) -> None:
    await period_boards.award()
    await period_boards.configure(BoardSettings(time_zone="America/Los_Angeles", periods=("day",)))
    moment.set(MONDAY + DAY + HOUR)  # The evening of 30 November there.
    if is_final:
        await period_boards.close("day:2026-11-30")
    shown = await finder.find("main", choose("day"), anew=True)
    await period_boards.award("bob")
    stored = await finder.find("main", choose("day"), anew=True)

    assert shown.period_id == "day:2026-12-01"
    assert shown.period == stored.period
    assert (shown.period.starts_at, shown.period.ends_at) == (MONDAY + DAY, MONDAY + 2 * DAY + 8 * HOUR)


async def test_record_is_asked_for_a_board_once_a_second(
    period_boards: PeriodBoards, finder: PeriodFinder, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    asked: list[str] = []
    list_recent = PeriodStore.list_recent

    async def counted(self: PeriodStore, board_id: str) -> object:
        asked.append(board_id)
        return await list_recent(self, board_id)

    monkeypatch.setattr(PeriodStore, "list_recent", counted)
    clock = SetClock(0.0)
    reader = RecordReader(RecordReaderSettings(keep_seconds=0))
    finder = PeriodFinder(finder._ledger, period_boards.periods, reader, moment, clock)
    for seconds in (0.0, 0.4, 0.99, 1.0, 1.9):
        clock.now = seconds
        for text in ("day", "week"):
            await find(finder, text)

    assert asked == ["main", "main"]


async def test_current_period_is_found_while_the_record_is_unavailable(
    period_boards: PeriodBoards, reader: RecordReader, moment: Moment, free_port: Callable[[], int]
) -> None:
    clock = SetClock(0.0)
    settings = PoolSettings(f"postgresql://nobody@127.0.0.1:{free_port()}/none", wait_seconds=0.1)
    async with Database.open(settings) as nowhere:
        finder = PeriodFinder(Ledger(nowhere), period_boards.periods, reader, moment, clock)
        await find(finder, "day")
        finder._periods = PeriodStore(nowhere)
        clock.now = 60.0
        moment.set(MONDAY + DAY)

        assert await find(finder, "day") == "day:2026-12-01"
        for text in ("day:previous", "day:2026-11-28"):
            with pytest.raises(RecordUnavailableError):
                await find(finder, text)
        with pytest.raises(RecordUnavailableError):
            await find(finder, "day", "other")


async def test_final_period_that_was_thought_live_is_found_anew(
    period_boards: PeriodBoards, finder: PeriodFinder, moment: Moment
) -> None:
    made = await period_boards.award()
    moment.set(MONDAY + DAY + HOUR)
    live = await finder.find("main", choose("day:2026-11-30"))
    await period_boards.close("day:2026-11-30")

    assert live.may_have_ended(made.recorded.position, moment())
    assert not live.may_have_ended(replace(made.recorded.position, revision=1), moment())
    assert (await finder.find("main", live.choice, anew=True)).is_final
    assert live.choice == PeriodChoice(PeriodKind.DAY, "day:2026-11-30")
