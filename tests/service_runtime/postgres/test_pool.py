"""The pool of connections to PostgreSQL: connections that the server closed while they were idle."""

import psycopg
import pytest
from psycopg import sql
from tests.fixtures.servers.postgres import Database

from service_runtime.postgres.pool import Pool, PoolSettings, is_connection_lost


class _Pool(Pool):
    application_name = "tests"


async def _backend(pool: Pool) -> int:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT pg_backend_pid() AS pid")
        (row,) = await cursor.fetchall()
        return int(row["pid"])


async def test_a_connection_that_was_closed_while_idle_is_replaced_before_it_is_lent(
    database: Database,
) -> None:
    async with _Pool.open(PoolSettings(database.gateway_runtime_dsn, connections_max=1)) as pool:
        before = await _backend(pool)
        async with await psycopg.AsyncConnection.connect(database.admin_dsn, autocommit=True) as admin:
            await admin.execute("SELECT pg_terminate_backend(%s, 10000)", [before])
        assert await _backend(pool) != before


async def test_a_connection_that_is_good_is_lent_again(database: Database) -> None:
    async with _Pool.open(PoolSettings(database.gateway_runtime_dsn, connections_max=1)) as pool:
        assert await _backend(pool) == await _backend(pool)


async def test_a_pool_is_replaced_once_for_all_statements_that_were_lost_together(database: Database) -> None:
    async with _Pool.open(PoolSettings(database.gateway_runtime_dsn, connections_max=1)) as pool:
        first = await _backend(pool)
        await pool.note_unavailable("get_award", psycopg.errors.AdminShutdown(), began=1.0)
        second = await _backend(pool)
        await pool.note_unavailable("get_award", psycopg.errors.AdminShutdown(), began=1.0)
        assert (second != first, await _backend(pool)) == (True, second)


@pytest.mark.parametrize("code", ["connection_failure", "disk_full"])
async def test_a_server_that_tells_of_another_one_or_of_its_disk_is_not_lost_itself(
    database: Database, code: str
) -> None:
    async with (
        _Pool.open(PoolSettings(database.gateway_runtime_dsn)) as pool,
        pool.connection() as connection,
    ):
        with pytest.raises(psycopg.OperationalError) as caught:
            await connection.execute(
                sql.SQL("DO $$ BEGIN RAISE EXCEPTION 'told' USING ERRCODE = {}; END $$").format(code)
            )
        assert not is_connection_lost(caught.value)
        assert not connection.closed


def test_no_password_is_in_the_text_of_settings() -> None:
    assert "secret" not in repr(PoolSettings("postgresql://u@h/d", "secret"))
