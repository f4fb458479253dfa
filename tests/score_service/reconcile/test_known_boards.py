"""Boards that the record does not have are dropped from the projection."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually, make_award, make_projector

from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record import database as record_database
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings
from service_runtime.postgres.pool import PoolSettings


async def test_board_that_the_record_lost_is_dropped(
    ledger: Ledger, projection: Projection, projector: Projector, database: Database
) -> None:
    batch = await ledger.record_awards("main", [make_award()])

    async def is_known() -> bool:
        return "main" in projector.known_boards

    async def is_dropped() -> bool:
        return await projection.read_header("main") is None

    async with projector.scanner.running(0.02):
        await projector.project(batch.changes)
        await eventually(is_known)
        await projector.known_boards.confirm("main")
        with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
            connection.execute("TRUNCATE score.board, score.award, score.commit, score.standing")
        await eventually(is_dropped)

    with pytest.raises(BoardNotFoundError):
        await projector.known_boards.confirm("main")


async def test_board_that_the_record_never_had_is_dropped_when_it_is_asked_for(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    ghost = Changes("ghosts", Position.start("ghosts"), Position(1, "f" * 16), (Change("ghost", 99, 1),))
    await projection.apply_changes(ghost)

    with pytest.raises(BoardNotFoundError):
        await projector.known_boards.confirm("ghosts")

    assert await projection.read_header("ghosts") is None
    await ledger.record_awards("main", [make_award()])
    await projector.known_boards.confirm("main")


async def test_board_is_taken_to_be_there_while_the_record_is_unavailable(
    standings: Standings, projection: Projection, free_port: Callable[[], int]
) -> None:
    settings = PoolSettings(f"host=127.0.0.1 port={free_port()}", wait_seconds=0.1)
    async with record_database.Database.open(settings) as unavailable:
        projector = make_projector(Ledger(unavailable), standings, projection)

        await projector.known_boards.confirm("main")


async def test_board_is_confirmed_also_when_nobody_waits_for_it_any_more(
    standings: Standings,
    projection: Projection,
    database: Database,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    server = conninfo_to_dict(database.score_runtime_dsn)
    proxy = await start_proxy(f"{server['host']}:{server['port']}")
    dsn = make_conninfo(database.score_runtime_dsn, port=proxy.port)
    async with record_database.Database.open(PoolSettings(dsn)) as record:
        ledger = Ledger(record)
        await ledger.record_awards("main", [make_award()])
        projector = make_projector(ledger, standings, projection)
        proxy.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await projector.known_boards.confirm("main")
        proxy.release()

        async def is_known() -> bool:
            return "main" in projector.known_boards

        await eventually(is_known)
