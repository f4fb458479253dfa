"""The standings in PostgreSQL, read at one position."""

import random

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.fixtures.servers import postgres
from tests.fixtures.servers.stores import expected_top, make_award

from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.errors import BoardNotFoundError, InvalidRequestError
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.sql import load_statement
from score_service.record.standings import CountedPage, StandingPage, Standings

_ADD_STANDINGS = """
    INSERT INTO score.standing
        (board_id, period, user_id, total, reached_revision, changed_revision, last_award_revision)
    SELECT board_id, period, 'user-' || n, 1, 1, 1, 1 FROM score.standing, generate_series(1, 20000) n
"""
_PAGES_MAX = 100
"""Of 8 KiB. The whole board has several hundred."""


async def test_pages_go_through_all_users_in_the_order_of_their_ids_each_in_the_order_of_totals(
    ledger: Ledger, standings: Standings
) -> None:
    await ledger.record_awards("main", [make_award("bob", 3), make_award("ada", 5), make_award("bob", 4)])
    head = (await ledger.record_awards("main", [make_award("Cyd", 8)])).changes.after
    await ledger.record_awards("other", [make_award("eve", board_id="other")])

    first = await standings.read_page("main", "", 2)
    second = await standings.read_page("main", "ada", 2)

    assert first == StandingPage(head, 2, 2, "ada", "ada 5 2\nCyd 8 4")
    assert second == StandingPage(head, 1, 1, "bob", "bob 7 3")
    assert await standings.read_page("main", "bob", 2) is None


async def test_standings_are_counted_page_by_page(ledger: Ledger, standings: Standings) -> None:
    await ledger.record_awards("main", [make_award("bob"), make_award("ada"), make_award("cyd")])
    head = (await ledger.record_awards("main", [make_award("bob")])).changes.after

    assert await standings.count_page("main", "", 2) == CountedPage(head, 2, 2, "bob")
    assert await standings.count_page("main", "bob", 2) == CountedPage(head, 1, 1, "cyd")
    assert await standings.count_page("main", "cyd", 2) == CountedPage(head, 0, 0, "")


async def test_board_without_awards_is_not_found(ledger: Ledger, standings: Standings) -> None:
    await ledger.record_awards("other", [make_award(board_id="other")])
    for reading in (
        standings.read_page("main", "", 10),
        standings.count_page("main", "", 10),
        standings.get_standings("main", ["ada"]),
        standings.list_standings("main", 10),
        standings.list_standings_around("main", "ada", 2),
    ):
        with pytest.raises(BoardNotFoundError):
            await reading


async def fill(ledger: Ledger, users: int = 40) -> Position:
    """Make a board with many ties, and a neighbour whose standings must stay out of it."""
    random_source = random.Random(7)
    await ledger.record_awards("other", [make_award("eve", 500, board_id="other")])
    names = [f"user{i:02}" for i in range(users)] * 2
    random_source.shuffle(names)
    awards = [make_award(name, random_source.randint(1, 3)) for name in names]
    return (await ledger.record_awards("main", awards)).changes.after


async def test_pages_from_the_top_follow_each_other_to_the_end(ledger: Ledger, standings: Standings) -> None:
    head = await fill(ledger)
    seen: list[Standing] = []
    token = ""
    while token or not seen:
        page = await standings.list_standings("main", 7, token)
        assert (page.position, page.source) == (head, Source.RECORD)
        seen += page.top
        token = page.next_page_token

    assert seen == await expected_top(ledger)


async def test_page_after_one_that_has_moved_starts_below_where_it_stood(
    ledger: Ledger, standings: Standings
) -> None:
    await ledger.record_awards("main", [make_award(f"user{i}", 9 - i) for i in range(6)])
    first = await standings.list_standings("main", 3)
    await ledger.record_awards("main", [make_award("user2", 100)])

    second = await standings.list_standings("main", 3, first.next_page_token)

    assert [(s.user_id, s.rank) for s in second.top] == [("user3", 4), ("user4", 5), ("user5", 6)]
    assert second.next_page_token == ""


async def test_users_are_read_with_their_ranks_in_the_order_asked(
    ledger: Ledger, standings: Standings
) -> None:
    head = await fill(ledger)
    expected = {standing.user_id: standing for standing in await expected_top(ledger)}
    asked = ["user31", "nobody", "user02", "user17"]

    reading = await standings.get_standings("main", asked)

    users = tuple(expected[user] for user in asked if user != "nobody")
    assert reading == Reading(head, Source.RECORD, users=users)
    assert (await standings.get_standings("main", list(expected))).users == tuple(expected.values())
    assert (await standings.get_standings("main", ["nobody"])).users == ()


@pytest.mark.parametrize("radius", [0, 1, 5, 100])
async def test_neighbours_are_those_of_the_whole_order(
    ledger: Ledger, standings: Standings, radius: int
) -> None:
    head = await fill(ledger)
    expected = await expected_top(ledger)
    for place in (0, 1, 20, 38, 39):
        reading = await standings.list_standings_around("main", expected[place].user_id, radius)

        assert list(reading.top) == expected[max(0, place - radius) : place + radius + 1]
        assert reading.position == head
    assert (await standings.list_standings_around("main", "nobody", radius)).top == ()


async def test_rank_that_costs_too_much_is_left_out(ledger: Ledger, record: Database) -> None:
    await fill(ledger)
    expected = await expected_top(ledger)
    standings = Standings(record, ranked_max=39)

    first = await standings.list_standings("main", 39)
    users = (await standings.get_standings("main", [expected[5].user_id])).users
    around = (await standings.list_standings_around("main", expected[5].user_id, 1)).top
    last = (await standings.list_standings("main", 5, first.next_page_token)).top
    low = Standings(record, ranked_max=38)

    assert list(first.top) == expected[:39]
    assert [(s.user_id, s.rank) for s in users] == [(expected[5].user_id, None)]
    assert [(s.user_id, s.rank) for s in around] == [(s.user_id, None) for s in expected[4:7]]
    assert list(last) == expected[39:]
    assert [s.rank for s in (await low.list_standings("main", 5, first.next_page_token)).top] == [None]


async def test_board_of_just_as_many_users_as_are_counted_has_ranks(ledger: Ledger, record: Database) -> None:
    await fill(ledger)
    expected = await expected_top(ledger)
    standings = Standings(record, ranked_max=40)

    users = (await standings.get_standings("main", [expected[-1].user_id])).users
    around = (await standings.list_standings_around("main", expected[-1].user_id, 1)).top

    assert list(users) == expected[-1:]
    assert list(around) == expected[-2:]


async def test_token_that_was_not_given_is_rejected(ledger: Ledger, standings: Standings) -> None:
    await fill(ledger)

    with pytest.raises(InvalidRequestError):
        await standings.list_standings("main", 5, "mine")


async def test_numbers_of_any_size_are_read(ledger: Ledger, standings: Standings) -> None:
    """The driver sends a number in the smallest type that holds it."""
    await ledger.record_awards("main", [make_award("ada", 1_000_000), make_award("bob", 1)])
    for size in (1, 32_766, 32_767, 70_000):
        page = await standings.list_standings("main", size)
        again = await standings.list_standings("main", size, page.next_page_token or "MTAwMDAwMCAxIGFkYQ")

        assert page.top[0] == Standing("ada", 1_000_000, 1, 1)
        assert again.top == (Standing("bob", 1, 2, 2),)
    assert await standings.read_page("main", "", 70_000) is not None


async def test_a_page_of_latest_awards_looks_at_no_more_users_than_it_is_limited_to(
    ledger: Ledger, database: postgres.Database
) -> None:
    await ledger.record_awards("main", [make_award("ada")])
    statement = load_statement("verify_last_awards").encode()
    page = {"board_id": "main", "after": "", "limit": 10}
    with psycopg.connect(database.admin_dsn, row_factory=dict_row) as connection:
        connection.execute(_ADD_STANDINGS)
        (row,) = connection.execute(statement, page).fetchall()
        explained = connection.execute(
            b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, page
        ).fetchone()

    assert (row["key"], row["page_end"]) == (None, "user-10004")  # Nobody there has lost an award.
    assert explained is not None
    plan = explained["QUERY PLAN"][0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < _PAGES_MAX
