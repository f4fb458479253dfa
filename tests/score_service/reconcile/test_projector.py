"""The projection follows the ledger, whatever happened to it meanwhile."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.fixtures.servers.redis import delete_keys
from tests.fixtures.servers.stores import eventually, is_projected, make_award, make_projector
from tests.score_service.reconcile.rebuild.rebuild_gate import RebuildGate

from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings


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


async def test_caller_does_not_wait_until_a_long_ledger_is_projected(
    ledger: Ledger, standings: Standings, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = make_projector(ledger, standings, projection, timeout_seconds=0.05)
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


@pytest.mark.parametrize("lost", [(":ranks",), (":totals",), (":ranks", ":totals")])
async def test_nothing_is_applied_to_a_board_that_lost_a_key(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    redis_url: str,
    redis_prefix: str,
    lost: tuple[str, ...],
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])
    await projector.catch_up("main")
    await delete_keys(redis_url, redis_prefix, *lost)

    batch = await ledger.record_awards("main", [make_award("cyd", 7)])

    assert await projector.project(batch.changes) == {"cyd": 2}
    assert await is_projected(ledger, projection)


async def test_award_is_not_ranked_among_another_history(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    start = Position.start("main")
    await projection.apply_changes(
        Changes("main", start, Position(9, "f" * 16), (Change("ghost", 99, 8), Change("ada", 5, 9)))
    )
    batch = await ledger.record_awards("main", [make_award("ada", 5)])

    assert await projector.project(batch.changes) == {"ada": 1}


async def test_award_on_a_board_with_much_to_make_up_does_not_wait(
    ledger: Ledger, projection: Projection, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("score_service.reconcile.repairs._NEAR_MAX", 5)
    gate = RebuildGate(monkeypatch)
    await ledger.record_awards("main", [make_award() for _ in range(10)])
    batch = await ledger.record_awards("main", [make_award()])

    assert await projector.project(batch.changes) == {}
    assert await projector.ranks_at("main", ["ada"], 11) == {}

    gate.opened.set()
    await eventually(lambda: is_projected(ledger, projection))
    assert await projector.ranks_at("main", ["ada", "nobody"], 11) == {"ada": 1}
    assert gate.waiting == ["main"]


async def test_ranks_are_those_at_the_revision_asked_or_left_out(
    ledger: Ledger, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    await projector.catch_up("main")
    await ledger.record_awards("main", [make_award("bob", 9)])

    assert await projector.ranks_at("main", ["ada"], 1) == {"ada": 1}
    assert await projector.ranks_at("main", ["ada"], 2) == {"ada": 2}
    assert await projector.ranks_at("main", ["ada"], 3) == {}
