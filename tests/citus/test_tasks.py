"""On a Citus cluster each statement for one board is one task, which one node does."""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from tests.fixtures.ledgers.statements import COMMON, cases, fill_board
from tests.fixtures.servers.postgres import Database

from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from score_service.record.sql import load_statement
from service_runtime.postgres.pool import PoolSettings


@pytest.fixture
async def filled(database: Database) -> str:
    """Return a database with a board that has everything."""
    await fill_board(database.admin_dsn)
    return database.score_runtime_dsn


def _count_tasks(plan: Any) -> Iterator[int]:
    """Yield how many tasks each part of a plan has that is sent to nodes."""
    if isinstance(plan, dict):
        if "Task Count" in plan:
            yield plan["Task Count"]
        for part in plan.values():
            yield from _count_tasks(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from _count_tasks(part)


@pytest.mark.parametrize(
    ("statement", "parameters"), [case for case in cases() if case.values[0] != "apply_settings"]
)
async def test_statement_for_a_board_is_one_task(
    filled: str, statement: str, parameters: Mapping[str, object]
) -> None:
    with psycopg.connect(filled, cursor_factory=psycopg.ClientCursor) as connection:
        text = f"EXPLAIN (FORMAT JSON) {load_statement(statement)}"
        ((plan,),) = connection.execute(text, {**COMMON, **parameters}).fetchall()
    assert list(_count_tasks(plan)) == [1]


async def test_nodes_tell_of_waits_that_were_cut_short(filled: str) -> None:
    async with Record.open(PoolSettings(filled)) as record:
        assert await Ledger(record).find_silent_nodes() == []


def test_tables_of_a_board_lie_together(database: Database) -> None:
    with psycopg.connect(database.admin_dsn) as connection:
        found = connection.execute(
            "SELECT count(DISTINCT colocation_id), min(distribution_column), max(distribution_column)"
            " FROM citus_tables WHERE citus_table_type = 'distributed' AND table_name::text LIKE 'score.%'"
        ).fetchall()
    assert found == [(1, "board_id", "board_id")]
