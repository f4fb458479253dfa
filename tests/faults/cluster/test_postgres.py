"""PostgreSQL as members that are stopped, killed, put back to a copy, and take each other's place."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.stores import eventually

from bench.stack.accounting import read_processes, tree_of
from faults.cluster.postgres import FAST, IMMEDIATE, Postgres, PostgresPair
from local_stack.provision import create_database, derive_passwords, provision
from local_stack.servers.ports import HOST, free_port
from local_stack.servers.postgres import PostgresCluster
from score_service.errors import RecordUnavailableError
from score_service.record.database import Database
from score_service.record.ledger import Ledger
from score_service.record.migrate import MIGRATION
from service_runtime.postgres.pool import PoolSettings


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    cluster = PostgresCluster(tmp_path / "postgres", tmp_path / "postgres.log")
    postgres = Postgres("postgres", cluster, free_port())
    postgres.start()
    await postgres.until_ready()
    await execute(postgres.server.admin_url(), "CREATE TABLE made (number int)")
    yield postgres
    postgres.end()


async def execute(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(statement)


async def make(postgres: Postgres, number: int) -> None:
    await execute(postgres.server.admin_url(), f"INSERT INTO made VALUES ({number})")


async def read(url: str, statement: LiteralString = "SELECT number FROM made ORDER BY number") -> list[int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(statement)
        return [number for (number,) in await cursor.fetchall()]


async def test_it_restarts_at_its_port_with_all_that_was_committed(postgres: Postgres) -> None:
    await make(postgres, 1)
    await postgres.kill()
    assert not postgres.looks_ready()
    await postgres.restart()
    await make(postgres, 2)
    await postgres.stop(IMMEDIATE)
    await postgres.restart()
    assert await read(postgres.server.admin_url()) == [1, 2]


async def test_it_is_put_back_to_a_copy_and_its_former_data_can_be_read(
    postgres: Postgres, tmp_path: Path
) -> None:
    await make(postgres, 1)
    await postgres.back_up(tmp_path / "copy")
    await make(postgres, 2)
    await postgres.stop(IMMEDIATE)
    postgres.put_aside(tmp_path / "former")
    postgres.put_back(tmp_path / "copy")
    await postgres.restart()
    await make(postgres, 3)
    assert await read(postgres.server.admin_url()) == [1, 3]

    former = PostgresCluster(tmp_path / "former", tmp_path / "former.log").start()
    try:
        assert await read(former.admin_url()) == [1, 2]
    finally:
        former.stop()


@pytest.fixture
async def pair(
    postgres: Postgres, tmp_path: Path, start_proxy: Callable[[str], Awaitable[Proxy]]
) -> AsyncIterator[PostgresPair]:
    cluster = PostgresCluster(tmp_path / "standby", tmp_path / "standby.log")
    standby = Postgres("standby", cluster, free_port())
    pair = PostgresPair(postgres, standby, await start_proxy(postgres.address))
    await pair.begin()
    yield pair
    for member in reversed(pair.members):  # The primary waits for the standby, through a proxy of this loop.
        await member.stop(FAST)


async def test_commit_waits_for_the_standby(pair: PostgresPair) -> None:
    await make(pair.primary, 1)
    pair.link.hold()
    making = asyncio.create_task(make(pair.primary, 2))

    async def waits() -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        return await read(pair.primary.server.admin_url(), waiting) == [1]

    await eventually(waits)
    assert await read(pair.primary.server.admin_url()) == [1]
    pair.link.release()
    await making
    assert await read(pair.primary.server.admin_url()) == [1, 2]


async def test_the_standby_takes_over_with_all_that_was_committed_and_the_former_primary_follows(
    pair: PostgresPair, tmp_path: Path, start_proxy: Callable[[str], Awaitable[Proxy]]
) -> None:
    first, second = pair.members
    user = await start_proxy(first.address)
    await make(first, 1)
    await first.kill()
    await pair.take_over([user])
    assert (pair.primary, pair.standby, user.upstream) == (second, first, second.address)
    assert await read(second.server.admin_url()) == [1]

    first.put_aside(tmp_path / "former")
    await pair.follow()
    await first.until_ready()
    await make(second, 2)
    assert await read(second.server.admin_url()) == [1, 2]


async def test_a_standby_that_does_not_follow_is_not_ready(pair: PostgresPair) -> None:
    assert pair.standby.looks_ready()
    await pair.primary.kill()

    async def is_not_ready() -> bool:
        return not await asyncio.to_thread(pair.standby.looks_ready)

    await eventually(is_not_ready)
    await pair.primary.restart()
    await pair.standby.until_ready()


async def test_services_take_the_one_of_several_hosts_that_writes(pair: PostgresPair) -> None:
    members = (pair.standby, pair.primary)
    dsn = make_conninfo(
        pair.primary.server.admin_url(),
        host=f"{HOST},{HOST},{HOST}",
        port=",".join(map(str, (free_port(), *(member.port for member in members)))),
    )
    async with Database.open(PoolSettings(dsn)) as database, database.connection() as connection:
        assert connection.info.port == pair.primary.port


async def test_a_standby_that_a_proxy_leads_to_looks_up_no_award_and_is_as_good_as_unavailable(
    pair: PostgresPair,
) -> None:
    primary, password = pair.primary.server, derive_passwords(pair.primary.server.password)

    def make_record() -> None:
        create_database(primary.admin_url(), "laurel")
        with psycopg.connect(primary.admin_url("laurel")) as connection:
            provision(connection, password)
        MIGRATION.upgrade(primary.url("laurel", "score_owner"), password["score_owner"])

    await asyncio.to_thread(make_record)  # It waits for the standby, through a proxy of this loop.
    dsn = pair.standby.server.url("laurel", "score_runtime", password["score_runtime"])
    settings = PoolSettings(make_conninfo(dsn, target_session_attrs="any"), statement_seconds=0.2)
    async with Database.open(settings) as database:
        with pytest.raises(RecordUnavailableError):
            await Ledger(database).get_award("main", str(uuid.uuid4()))


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
