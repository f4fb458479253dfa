"""What is measured beside a rebuild, on a real PostgreSQL."""

import psycopg
from psycopg.rows import dict_row
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import make_award

from bench.themes.rebuilding import read_pages
from score_service.record.ledger import Ledger


async def test_pages_have_all_standings_of_a_board_time_and_again(database: Database, ledger: Ledger) -> None:
    await ledger.record_awards("main", [make_award(user) for user in ("ada", "bob", "cyd")])
    connect = psycopg.AsyncConnection.connect
    async with await connect(database.score_runtime_dsn, autocommit=True, row_factory=dict_row) as connection:
        sample = await read_pages(connection, "main", 0.2)

    assert sample.count > 0
    assert sample.count % 3 == 0
