"""A database on several nodes of which one is unavailable: what it says of that, said here by one server."""

import math
from functools import partial

import psycopg
import pytest
from tests.fixtures.ledgers.periods import DAY, MONDAY, LedgerClock, day, make_schedule, save_settings
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually, is_projected, make_award

from score_service.errors import RecordUnavailableError
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record import database as pool
from score_service.record.boards import BoardStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from service_runtime.postgres.pool import PoolSettings

_LOSE_A_NODE = """
ALTER TABLE score.board RENAME TO board_of_all_nodes;
CREATE FUNCTION score.reach(p_board_id text) RETURNS boolean LANGUAGE plpgsql STABLE COST 10000 AS $$
BEGIN
    IF p_board_id = 'unreachable' THEN
        RAISE EXCEPTION 'connection to the remote node failed' USING ERRCODE = 'connection_failure';
    END IF;
    RETURN true;
END
$$;
CREATE VIEW score.board AS SELECT * FROM score.board_of_all_nodes WHERE score.reach(board_id);
ALTER TABLE score.period RENAME TO period_of_all_nodes;
CREATE VIEW score.period AS SELECT * FROM score.period_of_all_nodes WHERE score.reach(board_id);
CREATE OR REPLACE FUNCTION score.list_reachable_due_periods(p_limit bigint)
RETURNS SETOF score.period_of_all_nodes LANGUAGE sql AS $$
    SELECT * FROM score.period_of_all_nodes
    WHERE board_id <> 'unreachable' AND final_at <= score.ledger_clock()
$$;
CREATE OR REPLACE FUNCTION score.list_reachable_heads(
    p_after_board_id text, p_limit bigint, OUT board_id text, OUT revision bigint, OUT digest bytea
) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT board_id, revision, digest FROM score.board_of_all_nodes
    WHERE board_id > p_after_board_id AND board_id <> 'unreachable' ORDER BY board_id LIMIT p_limit
$$;
GRANT SELECT, INSERT, UPDATE ON score.board, score.board_of_all_nodes, score.period, score.period_of_all_nodes
TO score_runtime;
"""
"""After this, what needs the board 'unreachable' fails as with an unavailable node; others are found."""


@pytest.fixture
async def boards(ledger: Ledger, database: Database) -> list[str]:
    """Return three boards of which one is unavailable."""
    for board_id in ("unreachable", "first", "last"):
        await ledger.record_awards(board_id, [make_award(board_id=board_id)])
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(_LOSE_A_NODE)
    return ["unreachable", "first", "last"]


async def test_heads_of_all_boards_but_those_of_a_node_that_is_unavailable_are_listed(
    ledger: Ledger, boards: list[str]
) -> None:
    with pytest.raises(RecordUnavailableError):
        await ledger.list_heads("", 10)

    heads, are_all = await ledger.list_reachable_heads("", 10)

    assert ([board_id for board_id, _ in heads], are_all) == (boards[1:], False)
    assert heads[0][1] == await ledger.read_head("first")
    assert [board_id async for board_id in ledger.list_reachable_boards()] == boards[1:]


async def test_heads_of_all_boards_are_all_on_a_database_that_is_whole(ledger: Ledger) -> None:
    await ledger.record_awards("main", [make_award()])
    assert await ledger.list_reachable_heads("", 10) == ([("main", await ledger.read_head("main"))], True)


async def test_function_for_nodes_that_are_unavailable_lists_on_one_server_what_it_has(
    ledger: Ledger, record: pool.Database
) -> None:
    for board_id in ("b", "B", "a"):
        await ledger.record_awards(board_id, [make_award(board_id=board_id)])
    rows = await record.fetch_all("list_reachable_heads", {"after_board_id": "A", "limit": 2})
    assert [(row["board_id"], row["revision"]) for row in rows] == [("B", 1), ("a", 1)]


async def test_due_periods_of_living_nodes_are_listed_while_one_is_unavailable(
    ledger: Ledger,
    board_store: BoardStore,
    periods: PeriodStore,
    ledger_clock: LedgerClock,
    database: Database,
) -> None:
    for board_id in ("unreachable", "first"):
        await save_settings(board_store, board_id)
        await ledger.record_awards(board_id, [make_award(board_id=board_id)], make_schedule(day()))
    ledger_clock.set(MONDAY + 2 * DAY)
    assert {due.board_id for due in await periods.list_due(10)} == {"unreachable", "first"}
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(_LOSE_A_NODE)
    assert [due.board_id for due in await periods.list_due(10)] == ["first"]


async def test_verification_of_all_boards_does_not_pass_over_those_that_are_unavailable(
    ledger: Ledger, boards: list[str]
) -> None:
    with pytest.raises(RecordUnavailableError):
        assert boards == [board_id async for board_id in ledger.list_boards()]


async def test_boards_of_living_nodes_are_repaired_while_one_is_unavailable(
    ledger: Ledger, projection: Projection, projector: Projector, boards: list[str]
) -> None:
    async with projector.scanner.running(0.02):
        for board_id in boards[1:]:
            await eventually(partial(is_projected, ledger, projection, board_id))
        assert math.isnan(projector.scanner.lag)


def _sessions(database: Database) -> list[int]:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE usename = 'score_runtime' AND datname = current_database() ORDER BY pid"
        )
        return [pid for (pid,) in found.fetchall()]


async def test_award_of_a_board_that_is_unavailable_has_an_unknown_outcome_and_costs_no_connection(
    ledger: Ledger, database: Database, boards: list[str]
) -> None:
    settings = PoolSettings(database.score_runtime_dsn, connections_max=1)
    async with pool.Database.open(settings) as record:
        lone = Ledger(record)
        assert (await lone.read_head("first")).revision == 1
        before = _sessions(database)
        for board_id in boards[:1] * 3:
            with pytest.raises(RecordUnavailableError):
                await lone.record_awards(board_id, [make_award(board_id=board_id)])
        assert (await lone.record_awards("last", [make_award(board_id="last")])).changes.after.revision == 2
        assert _sessions(database) == before
