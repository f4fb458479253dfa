"""Every scan finds the boards whose projection is not at the head, and has them repaired."""

import math
from functools import partial

import psycopg
import pytest
from redis.asyncio import Redis
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.redis import delete_keys, restore_keys, save_keys
from tests.fixtures.servers.stores import eventually, is_projected, make_award, make_projector

from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings


async def test_projection_ahead_of_the_record_is_replaced(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 5)])
    await projector.project(batch.changes)
    ahead = Changes("main", batch.changes.after, Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ahead)

    async with projector.scanner.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))

    assert await is_projected(ledger, projection)


async def test_loop_brings_every_board_to_its_head(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    boards = [f"board{i}" for i in range(12)]
    for board in boards:
        await ledger.record_awards(board, [make_award("ada", 5, board_id=board)])

    async with projector.scanner.running(0.02):
        for board in boards:
            await eventually(partial(is_projected, ledger, projection, board))


async def test_loop_repairs_what_was_wiped_while_it_ran(
    ledger: Ledger, projection: Projection, projector: Projector, redis_url: str, redis_prefix: str
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    async with projector.scanner.running(0.02), Redis.from_url(redis_url) as client:
        await eventually(lambda: is_projected(ledger, projection))
        await client.delete(*[key async for key in client.scan_iter(f"{redis_prefix}*")])
        await eventually(lambda: is_projected(ledger, projection))


async def test_lag_is_how_far_behind_the_projection_was(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award() for _ in range(3)])
    lags = []

    async def is_seen() -> bool:
        lags.append(projector.scanner.lag)
        return 3 in lags and projector.scanner.lag == 0

    async with projector.scanner.running(0.02):
        await eventually(is_seen)


async def test_restored_record_takes_the_projection_back(
    ledger: Ledger, projection: Projection, projector: Projector, database: Database
) -> None:
    for points in (5, 6, 7):
        await ledger.record_awards("main", [make_award("ada", points)])
    await projector.catch_up("main")
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM score.award WHERE revision > 1")
        connection.execute("DELETE FROM score.commit WHERE last_revision > 1")
        connection.execute("UPDATE score.standing SET total = 5, reached_revision = 1")
        connection.execute(
            "UPDATE score.board SET revision = 1,"
            " digest = (SELECT digest FROM score.commit WHERE last_revision = 1)"
        )
    for points in (1, 2):
        await ledger.record_awards("main", [make_award("bob", points)])

    async with projector.scanner.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))


@pytest.mark.parametrize(
    "lost",
    [
        (":header",),
        (":ranks",),
        (":totals",),
        (":ranks", ":totals"),
        (":header", ":ranks"),
    ],
)
async def test_loop_repairs_what_was_lost_and_leaves_nothing_behind(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    redis: Redis,
    redis_url: str,
    redis_prefix: str,
    lost: tuple[str, ...],
) -> None:
    await ledger.record_awards("main", [make_award(f"user{i}", i + 1) for i in range(20)])
    async with projector.scanner.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))
        await delete_keys(redis_url, redis_prefix, *lost)
        await eventually(lambda: is_projected(ledger, projection))

    assert len([key async for key in redis.scan_iter(f"{redis_prefix}*")]) == 3
    assert projector.repairs.rebuilt == 2


async def test_redis_that_stepped_back_is_brought_on(
    ledger: Ledger, projection: Projection, projector: Projector, redis_url: str, redis_prefix: str
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])
    async with projector.scanner.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))
        saved = await save_keys(redis_url, redis_prefix)
        await ledger.record_awards("main", [make_award("ada", 50), make_award("cyd", 1)])
        await eventually(lambda: is_projected(ledger, projection))
        await restore_keys(redis_url, redis_prefix, saved)
        await eventually(lambda: is_projected(ledger, projection))

    assert projector.repairs.rebuilt == 1


async def test_loop_replaces_another_history_of_the_same_length(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    start = Position.start("main")
    ghost = Changes("main", start, Position(2, "f" * 16), (Change("ghost", 99, 2),))
    await projection.apply_changes(ghost)
    await ledger.record_awards("main", [make_award("ada", 5), make_award("ada", 6)])

    async with projector.scanner.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))


async def test_lag_is_not_known_while_redis_is_unavailable(
    ledger: Ledger, standings: Standings, lossy_projection: Projection, redis_proxy: Proxy
) -> None:
    await ledger.record_awards("main", [make_award()])
    projector = make_projector(ledger, standings, lossy_projection)
    assert math.isnan(projector.scanner.lag)

    async def is_there() -> bool:
        return projector.scanner.lag == 0

    async def is_unavailable() -> bool:
        return math.isnan(projector.scanner.lag)

    async with projector.scanner.running(0.02):
        await eventually(is_there)
        redis_proxy.hold()
        await eventually(is_unavailable)
        scans = projector.scanner.scans
        redis_proxy.release()
        await eventually(is_there)
    assert projector.scanner.scans > scans
