"""Reads of periods: from Redis, from the record, and from the archive, over their ends."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fixtures.ledgers.boards import PeriodBoards
from tests.fixtures.ledgers.periods import DAY, HOUR, MONDAY, Moment
from tests.fixtures.network.proxy import Proxy

from score_service.boards.standings.leaderboard import Leaderboard
from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.board.period import PeriodChoice, PeriodState, parse_period_choice
from score_service.domain.standings.standing import BoardView, Source
from score_service.errors import (
    BoardNotFoundError,
    InvalidRequestError,
    PeriodUnknownError,
    ProjectionUnavailableError,
    StandingNotFoundError,
)
from score_service.record.ledger import Ledger

NEXT_NOON = MONDAY + DAY + 12 * HOUR


def choose(text: str) -> PeriodChoice | None:
    return parse_period_choice(text)


TODAY, MONDAYS = choose("day"), choose("day:2026-11-30")


async def fill(boards: PeriodBoards) -> None:
    """Give seven users points on Monday, and some of them on Tuesday; it is Tuesday noon then."""
    for index in range(7):
        await boards.award(f"user{index}", 9 - index // 2)
    boards.moment.set(NEXT_NOON)
    for index in (5, 6, 1):
        await boards.award(f"user{index}", 3)


async def read_each_way(leaderboard: Leaderboard, choice: PeriodChoice | None) -> list[BoardView]:
    return [
        await leaderboard.get_standing("main", "user5", 0, choice),
        await leaderboard.get_standings("main", ["user6", "nobody", "user1"], 0, choice),
        await leaderboard.list_standings("main", 2, "", 0, choice),
        await leaderboard.list_standings_around("main", "user5", 1, 0, choice),
    ]


def users(view: BoardView) -> list[tuple[str, int, int | None]]:
    return [(standing.user_id, standing.total, standing.rank) for standing in view.standings]


async def test_each_period_has_its_own_standings_at_one_position(
    period_boards: PeriodBoards, leaderboard: Leaderboard
) -> None:
    await fill(period_boards)

    today = await read_each_way(leaderboard, TODAY)
    all_time = await read_each_way(leaderboard, None)

    assert users(today[2]) == [("user5", 3, 1), ("user6", 3, 2)]
    assert users(today[3]) == [("user5", 3, 1), ("user6", 3, 2)]
    assert users(today[1]) == [("user6", 3, 2), ("user1", 3, 3)]
    assert users(all_time[2]) == [("user1", 12, 1), ("user5", 10, 2)]
    assert {view.position for view in (*today, *all_time)} == {today[0].position}
    assert {view.period and view.period.entrants for view in today} == {3}
    assert all(view.period is None for view in all_time)


async def test_answer_says_which_period_it_shows(
    period_boards: PeriodBoards, leaderboard: Leaderboard
) -> None:
    await period_boards.award()

    shown = (await leaderboard.list_standings("main", 5, "", 0, TODAY)).period

    assert shown is not None
    period = shown.period
    assert (period.period_id, period.starts_at, period.ends_at) == ("day:2026-11-30", MONDAY, MONDAY + DAY)
    assert period.closes_at == MONDAY + DAY + timedelta(minutes=10)
    assert (shown.state, shown.next_starts_at, shown.entrants) == (PeriodState.OPEN, MONDAY + DAY, 1)


async def test_current_period_that_nobody_is_in_is_empty_and_nobody_has_a_standing(
    period_boards: PeriodBoards, leaderboard: Leaderboard, moment: Moment
) -> None:
    made = await period_boards.award()
    moment.set(NEXT_NOON)

    view = await leaderboard.list_standings("main", 5, "", made.recorded.revision, TODAY)

    assert view.period is not None
    assert (view.period.period.period_id, view.period.entrants, view.standings) == ("day:2026-12-01", 0, ())
    with pytest.raises(StandingNotFoundError):
        await leaderboard.get_standing("main", "ada", 0, TODAY)
    with pytest.raises(StandingNotFoundError):
        await leaderboard.list_standings_around("main", "ada", 1, 0, TODAY)


async def test_final_period_is_read_from_the_archive_as_it_was_before(
    period_boards: PeriodBoards, leaderboard: Leaderboard
) -> None:
    await fill(period_boards)
    before = await read_each_way(leaderboard, MONDAYS)
    await period_boards.close("day:2026-11-30")

    after = await read_each_way(leaderboard, MONDAYS)
    previous = await read_each_way(leaderboard, choose("day:previous"))

    assert {view.source for view in before} == {Source.CACHE}
    assert {view.source for view in after} == {Source.RECORD}
    assert [view.standings for view in after] == [view.standings for view in before]
    assert previous == after
    assert {view.period and (view.period.state, view.period.entrants) for view in after} == {
        (PeriodState.FINAL, 7)
    }


@pytest.mark.parametrize("is_projected", [True, False], ids=["projected", "not yet projected"])
async def test_period_that_becomes_final_between_two_reads_is_never_shown_empty(
    period_boards: PeriodBoards,
    leaderboard: Leaderboard,
    *,
    is_projected: bool,
) -> None:
    await fill(period_boards)
    await leaderboard.list_standings("main", 2, "", 0, MONDAYS)
    finish: Callable[[str], Awaitable[object]]
    finish = period_boards.close if is_projected else period_boards.archive
    await finish("day:2026-11-30")

    view = await leaderboard.list_standings("main", 2, "", 0, MONDAYS)

    assert users(view) == [("user0", 9, 1), ("user1", 9, 2)]
    assert view.period is not None
    assert view.period.entrants == 7


async def test_record_shows_a_period_as_redis_does(
    period_boards: PeriodBoards,
    leaderboard: Leaderboard,
    lossy_leaderboard: Leaderboard,
    redis_proxy: Proxy,
) -> None:
    await fill(period_boards)
    cached = [*await read_each_way(leaderboard, TODAY), *await read_each_way(leaderboard, MONDAYS)]
    redis_proxy.hold()

    recorded = [
        *await read_each_way(lossy_leaderboard, TODAY),
        *await read_each_way(lossy_leaderboard, MONDAYS),
    ]

    assert {view.source for view in recorded} == {Source.RECORD}
    assert [replace(view, source=Source.CACHE) for view in recorded] == cached


async def test_final_period_is_read_from_the_archive_while_redis_is_unavailable(
    period_boards: PeriodBoards, lossy_leaderboard: Leaderboard, redis_proxy: Proxy
) -> None:
    await fill(period_boards)
    await lossy_leaderboard.list_standings("main", 2, "", 0, MONDAYS)
    redis_proxy.hold()
    await period_boards.archive("day:2026-11-30")

    view = await lossy_leaderboard.list_standings("main", 2, "", 0, MONDAYS)

    assert users(view) == [("user0", 9, 1), ("user1", 9, 2)]


async def test_reader_sees_its_own_write_in_a_period(
    period_boards: PeriodBoards, leaderboard: Leaderboard, ledger: Ledger
) -> None:
    made = await period_boards.award("ada", 5)
    revision = made.recorded.revision

    view = await leaderboard.get_standing("main", "ada", revision, TODAY)

    assert users(view) == [("ada", 5, 1)]
    with pytest.raises(ProjectionUnavailableError):
        await leaderboard.get_standing("main", "ada", revision + 1, TODAY)


async def test_final_period_holds_at_any_revision_that_the_ledger_has(
    period_boards: PeriodBoards, leaderboard: Leaderboard, ledger: Ledger
) -> None:
    await fill(period_boards)
    await period_boards.close("day:2026-11-30")
    made = await period_boards.award()

    view = await leaderboard.list_standings("main", 2, "", made.recorded.revision, MONDAYS)

    assert view.position == await ledger.read_head("main")
    with pytest.raises(ProjectionUnavailableError):
        await leaderboard.list_standings("main", 2, "", made.recorded.revision + 1, MONDAYS)


async def test_pages_go_on_in_the_period_in_which_they_began_also_when_it_is_final(
    period_boards: PeriodBoards, leaderboard: Leaderboard, moment: Moment
) -> None:
    for index in range(5):
        await period_boards.award(f"user{index}", 9 - index)
    first = await leaderboard.list_standings("main", 2, "", 0, TODAY)
    moment.set(NEXT_NOON)
    await period_boards.award("eve", 1)
    second = await leaderboard.list_standings("main", 2, first.next_page_token, 0, TODAY)
    await period_boards.close("day:2026-11-30")
    third = await leaderboard.list_standings("main", 2, second.next_page_token, 0, TODAY)

    pages = (first, second, third)
    assert [view.period and view.period.period.period_id for view in pages] == ["day:2026-11-30"] * 3
    assert [user for view in pages for user, _, _ in users(view)] == [f"user{index}" for index in range(5)]
    assert (third.source, third.next_page_token) == (Source.RECORD, "")


async def test_page_token_is_for_its_kind_of_period_alone(
    period_boards: PeriodBoards, leaderboard: Leaderboard
) -> None:
    for user in ("ada", "bob", "cy"):
        await period_boards.award(user)
    token = (await leaderboard.list_standings("main", 1, "", 0, TODAY)).next_page_token
    all_time = (await leaderboard.list_standings("main", 1)).next_page_token

    for other, choice in ((token, choose("week")), (token, None), (all_time, TODAY)):
        with pytest.raises(InvalidRequestError):
            await leaderboard.list_standings("main", 1, other, 0, choice)


async def test_unknown_period_and_unknown_board_are_distinguished(
    period_boards: PeriodBoards, leaderboard: Leaderboard
) -> None:
    await period_boards.configure(BoardSettings(periods=("week",)), "weekly")

    with pytest.raises(PeriodUnknownError):
        await leaderboard.list_standings("weekly", 5, "", 0, TODAY)
    with pytest.raises(BoardNotFoundError):
        await leaderboard.list_standings("nowhere", 5, "", 0, TODAY)
