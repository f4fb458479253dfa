"""PostgreSQL as a member that is stopped, killed, and put back to a copy."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.stores import eventually

from bench.accounting import read_processes, tree_of
from faults.postgres import IMMEDIATE, Postgres
from local_stack.postgres import PostgresCluster


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    cluster = PostgresCluster(tmp_path / "postgres", tmp_path / "postgres.log")
    postgres = Postgres("postgres", cluster, cluster.start())
    await execute(postgres.server.admin_url(), "CREATE TABLE made (number int)")
    yield postgres
    postgres.end()


async def execute(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(statement)


async def make(postgres: Postgres, number: int) -> None:
    await execute(postgres.server.admin_url(), f"INSERT INTO made VALUES ({number})")


async def read(url: str) -> list[int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT number FROM made ORDER BY number")
        return [number for (number,) in await cursor.fetchall()]


async def test_it_comes_back_at_its_port_with_all_that_was_committed(postgres: Postgres) -> None:
    port = postgres.server.port
    await make(postgres, 1)
    await postgres.kill()
    assert not postgres.looks_ready()
    await postgres.restart()
    await make(postgres, 2)
    await postgres.stop(IMMEDIATE)
    await postgres.restart()
    assert postgres.server.port == port
    assert await read(postgres.server.admin_url()) == [1, 2]


async def test_it_is_put_back_to_a_copy_and_its_former_data_can_be_read(
    postgres: Postgres, tmp_path: Path
) -> None:
    await make(postgres, 1)
    await postgres.back_up(tmp_path / "copy")
    await make(postgres, 2)
    await postgres.stop(IMMEDIATE)
    postgres.put_back(tmp_path / "copy", tmp_path / "former")
    await postgres.restart()
    await make(postgres, 3)
    assert await read(postgres.server.admin_url()) == [1, 3]

    former = PostgresCluster(tmp_path / "former", tmp_path / "former.log").start()
    try:
        assert await read(former.admin_url()) == [1, 2]
    finally:
        former.stop()


async def test_while_it_is_paused_it_does_nothing_and_then_it_goes_on(postgres: Postgres) -> None:
    assert postgres.looks_ready()
    connection = await psycopg.AsyncConnection.connect(postgres.server.admin_url())
    async with connection:
        postgres.pause()
        try:
            assert len(_tree(postgres)) > 3

            async def all_stand_still() -> bool:
                return {_state(pid) for pid in _tree(postgres)} == {"T"}

            await eventually(all_stand_still)
        finally:
            postgres.resume()
        await connection.execute("SELECT 1")


def _tree(postgres: Postgres) -> set[int]:
    return tree_of(postgres.pid, read_processes())


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
