"""The projection follows the ledger, whatever happened to it meanwhile."""

import asyncio
from functools import partial
from typing import Any

import psycopg
import pytest
from redis.asyncio import Redis
from tests.fixtures.postgres import Database
from tests.fixtures.stores import eventually, is_projected, make_award, make_projector

from score_service.changes import Change, Changes
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError
from score_service.ledger import Ledger
from score_service.position import Position
from score_service.projection import Projection, ProjectionSettings
from score_service.projector import Projector
from score_service.rebuilder import Rebuilder
from score_service.standings import Standings


async def test_commit_is_projected_with_the_ranks_of_its_users(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])

    assert await projector.project(batch.changes) == {"ada": 2, "bob": 1}
    assert await is_projected(ledger, projection)


async def test_commits_projected_out_of_order_end_right(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    first = await ledger.record_awards("main", [make_award("ada", 5)])
    second = await ledger.record_awards("main", [make_award("bob", 9)])
    third = await ledger.record_awards("main", [make_award("ada", 5)])

    assert await projector.project(third.changes) == {"ada": 1}
    assert await projector.project(first.changes) == {"ada": 1}
    assert await projector.project(second.changes) == {"bob": 2}
    assert await is_projected(ledger, projection)


async def test_wiped_projection_is_made_again_from_the_ledger(
    ledger: Ledger, projection: Projection, projector: Projector, redis_url: str, redis_prefix: str
) -> None:
    for i in range(5):
        await ledger.record_awards("main", [make_award(f"user{(i + j) % 7}", j + 1) for j in range(300)])
    await projector.catch_up("main")
    async with Redis.from_url(redis_url) as client:
        await client.delete(*[key async for key in client.scan_iter(f"{redis_prefix}*")])

    await projector.catch_up("main")

    assert await is_projected(ledger, projection)


async def test_projection_of_another_history_is_replaced(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    await projection.apply_changes(
        Changes("main", Position.start("main"), Position(1, "f" * 16), (Change("ghost", 99, 1),))
    )
    await ledger.record_awards("main", [make_award("ada", 5)])

    await projector.catch_up("main")

    assert await is_projected(ledger, projection)


async def test_projection_ahead_of_the_record_is_replaced(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 5)])
    await projector.project(batch.changes)
    ahead = Changes("main", batch.changes.after, Position(7, "f" * 16), (Change("ghost", 99, 7),))
    await projection.apply_changes(ahead)

    async with projector.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))

    assert await is_projected(ledger, projection)


async def test_loop_brings_every_board_to_its_head(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    boards = [f"board{i}" for i in range(12)]
    for board in boards:
        await ledger.record_awards(board, [make_award("ada", 5, board_id=board)])

    async with projector.running(0.02):
        for board in boards:
            await eventually(partial(is_projected, ledger, projection, board))


async def test_loop_repairs_what_was_wiped_while_it_ran(
    ledger: Ledger, projection: Projection, projector: Projector, redis_url: str, redis_prefix: str
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    async with projector.running(0.02), Redis.from_url(redis_url) as client:
        await eventually(lambda: is_projected(ledger, projection))
        await client.delete(*[key async for key in client.scan_iter(f"{redis_prefix}*")])
        await eventually(lambda: is_projected(ledger, projection))


async def test_projectors_of_two_processes_work_on_one_board(
    ledger: Ledger, standings: Standings, projection_settings: ProjectionSettings
) -> None:
    async with (
        Projection.open(projection_settings) as one,
        Projection.open(projection_settings) as two,
    ):
        projectors = [make_projector(ledger, standings, projection) for projection in (one, two)]

        async def award(i: int) -> None:
            batch = await ledger.record_awards("main", [make_award(f"user{i % 5}", i % 3 + 1)])
            await projectors[i % 2].project(batch.changes)

        await asyncio.gather(*(award(i) for i in range(100)))

        assert await is_projected(ledger, one)


async def test_board_without_awards_cannot_be_caught_up(projector: Projector) -> None:
    with pytest.raises(BoardNotFoundError):
        await projector.catch_up("main")


async def test_lag_tells_how_far_behind_the_projection_was(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award() for _ in range(3)])
    lags = []

    async def is_seen() -> bool:
        lags.append(projector.lag)
        return 3 in lags and projector.lag == 0

    async with projector.running(0.02):
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

    async with projector.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))


async def test_caller_does_not_wait_until_a_long_ledger_is_projected(
    ledger: Ledger, standings: Standings, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = make_projector(ledger, standings, projection, patience=0.05)
    await ledger.record_awards("main", [make_award()])
    go_on, rebuild = asyncio.Event(), Rebuilder.rebuild

    async def slow_rebuild(*arguments: Any) -> Any:
        await go_on.wait()
        return await rebuild(*arguments)

    monkeypatch.setattr(Rebuilder, "rebuild", slow_rebuild)

    with pytest.raises(ProjectionUnavailableError):
        await projector.catch_up("main")
    go_on.set()

    await eventually(lambda: is_projected(ledger, projection))
