"""Behind PgBouncer with transaction pooling: each award once, whatever the pooler does meanwhile."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import httpx2 as httpx
import psycopg
import pytest
from tests.fixtures.clients.browser import Browser, edge, join
from tests.fixtures.ledgers.record import award, check_ranks, check_record, read_ledger
from tests.fixtures.servers.pgbouncer import POOL_SIZE, PgBouncer
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually, make_award
from tests.fixtures.services.stack import Stack, target_of_all

import action_gateway.store.migrate
import score_service.record.migrate
from score_client import AwardResult, ScoreClient
from score_service.record.database import Database as Record
from score_service.record.ledger import Ledger
from service_runtime.postgres.pool import PoolSettings, PrepareThreshold

BACKENDS = 24
CONNECTIONS: LiteralString = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename IN ('score_runtime', 'gateway_runtime')"
)


@dataclass(slots=True)
class Load:
    """Backends and a player who continue until they are stopped, and the answers they got."""

    client: ScoreClient
    player: Browser
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    made: list[AwardResult] = field(default_factory=list)
    paid: list[int] = field(default_factory=list)

    async def give(self, user_id: str) -> None:
        while not self.stopped.is_set():
            self.made.append(await award(self.client, user_id, award_id=uuid.uuid4()))

    async def play(self) -> None:
        while not self.stopped.is_set():
            started = await insist(self._start)
            token, key = started.json()["actionToken"], str(uuid.uuid4())
            headers = {"Idempotency-Key": key}
            done = await insist(lambda: self.player.complete(token, "yes", **headers))  # noqa: B023 - awaited
            self.paid.append(done.json()["newTotalScore"])

    async def go_on(self) -> None:
        """Wait until there was more of each."""
        made, paid = len(self.made) + BACKENDS, len(self.paid) + 3

        async def is_more() -> bool:
            await asyncio.sleep(0)
            return len(self.made) >= made and len(self.paid) >= paid

        await eventually(is_more)

    async def _start(self) -> httpx.Response:
        body = {"actionId": "quick"}
        return await self.player.http.post("/actions/start", json=body, headers=self.player.headers)


async def insist(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask again as long as the database is unavailable, and for nothing else."""
    while (response := await ask()).status_code == 503:  # noqa: ASYNC110 - It happens in other processes.
        await asyncio.sleep(0.05)
    assert response.status_code == 200, response.text
    return response


@asynccontextmanager
async def under_load(stack: Stack, target: str, gateway: str) -> AsyncIterator[Load]:
    async with (
        AsyncExitStack() as opened,
        stack.client(target, server_name="localhost") as client,
        edge(gateway) as http,
        asyncio.TaskGroup() as group,
    ):
        load = Load(client, await join(http, "ada"))
        opened.callback(load.stopped.set)
        for number in range(BACKENDS):
            group.create_task(load.give(f"user{number}"))
        group.create_task(load.play())
        yield load
        load.stopped.set()


def ask(dsn: str, statement: LiteralString) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        ((answer,),) = connection.execute(statement).fetchall()
    return answer


async def test_no_award_is_lost_or_doubled_whatever_the_pooler_does(
    stack: Stack, pgbouncer: PgBouncer, database: Database
) -> None:
    scores, gateways = (
        pgbouncer.dsn(database.logins[role].url) for role in ("score_runtime", "gateway_runtime")
    )
    services = [await stack.start_score_service(database_dsn=scores) for _ in range(2)]
    target = target_of_all(*services)
    gateway = await stack.start_gateway(
        target,
        database_dsn=gateways,
        score_server_name="localhost",
        score_timeout_seconds=30,
        starts_per_minute=1_000_000,
        completes_per_minute=1_000_000,
    )
    async with under_load(stack, target, gateway.addresses["http"]) as load:
        await load.go_on()
        assert ask(database.admin_dsn, CONNECTIONS) <= 2 * POOL_SIZE

        await pgbouncer.tell("PAUSE")  # As in a switch-over: it ends no transaction, and begins none.

        async def callers_wait() -> bool:
            return await pgbouncer.count_waiting() > 0

        await eventually(callers_wait)
        await pgbouncer.tell("RESUME")
        await load.go_on()
        await pgbouncer.tell("RECONNECT")
        await load.go_on()
        await asyncio.to_thread(pgbouncer.restart)
        await load.go_on()
        end_server_connections(database)
        await load.go_on()

    rows = {row[1]: row for row in read_ledger(database)}
    assert len(rows) == len(load.made) + len(load.paid)
    assert all(rows[result.award_id][0] == result.revision for result in load.made)
    assert load.paid == [row[6] for row in rows.values() if row[2] == load.player.user_id]
    async with stack.client(target, server_name="localhost") as client:
        await check_ranks(client, check_record(database))


def end_server_connections(database: Database) -> None:
    """Do to the pooler what a restart of PostgreSQL does."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_time_outs_of_the_role_hold_behind_the_pooler(pgbouncer: PgBouncer, database: Database) -> None:
    dsn = pgbouncer.dsn(database.score_runtime_dsn)
    assert await asyncio.to_thread(ask, dsn, "SHOW statement_timeout") == "5s"
    assert await asyncio.to_thread(ask, dsn, "SHOW lock_timeout") == "2s"


def test_migrations_go_through_the_pooler(pgbouncer: PgBouncer, database: Database) -> None:
    for schema in ("score", "gateway"):
        with psycopg.connect(database.admin_dsn) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
            connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {schema}_owner")
    for _ in range(2):  # Over the same connection of the pooler, where the first leaves nothing.
        score_service.record.migrate.MIGRATION.upgrade(pgbouncer.dsn(database.score_owner_dsn), None)
        action_gateway.store.migrate.MIGRATION.upgrade(pgbouncer.dsn(database.gateway_owner_dsn), None)
    assert ask(database.admin_dsn, "SELECT count(*) FROM score.alembic_version") == 1


async def record_in_turns(dsn: str, threshold: PrepareThreshold) -> int:
    """Have two processes' worth of connections share what the pooler has; count the awards."""
    settings = PoolSettings(dsn, prepare_threshold=threshold, connections_max=1)
    async with Record.open(settings) as one, Record.open(settings) as two:
        ledgers = Ledger(one), Ledger(two)
        for number in range(20):
            await ledgers[0].record_awards("main", [make_award()])
            batch = await ledgers[1].record_awards("main", [make_award()])
            await ledgers[number % 2].read_head("main")
    return batch.changes.after.revision


async def test_statements_are_prepared_past_the_pooler_only(pgbouncer: PgBouncer, database: Database) -> None:
    assert await record_in_turns(pgbouncer.dsn(database.score_runtime_dsn), "auto") == 40


async def test_prepared_statements_behind_the_pooler_are_not_those_that_were_prepared(
    pgbouncer: PgBouncer, database: Database
) -> None:
    with pytest.raises((psycopg.errors.DuplicatePreparedStatement, psycopg.errors.InvalidSqlStatementName)):
        await record_in_turns(pgbouncer.dsn(database.score_runtime_dsn), 0)
