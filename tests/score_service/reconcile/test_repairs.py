"""Each board is repaired once at a time, in the faster of two ways."""

import asyncio
from functools import partial

import pytest
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.servers.rejecting_redis import RejectingRedis
from tests.fixtures.servers.stores import eventually, expected_top, is_projected, make_award, make_projector
from tests.score_service.reconcile.rebuild.rebuild_gate import RebuildGate

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.errors import ProjectionUnavailableError
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings


async def test_board_that_another_process_makes_is_left_to_it(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award()])
    other = projection.make_generation("main", None)
    await other.load({ALL_TIME: "ada 1 1"}, Checkpoint.begin(Position.start("main")))

    with pytest.raises(ProjectionUnavailableError, match="Another process rebuilds it"):
        await projector.catch_up("main")

    await other.discard()
    await projector.catch_up("main")
    assert (projector.repairs.rebuilt, projector.repairs.given_up) == (1, 0)


async def test_board_far_behind_is_rebuilt_instead_of_replayed(
    ledger: Ledger, projection: Projection, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    await projector.project((await ledger.record_awards("main", [make_award()])).changes)
    for _ in range(3):
        await ledger.record_awards("main", [make_award(), make_award()])
    await projector.catch_up("main")
    assert projector.repairs.rebuilt == 0

    monkeypatch.setattr("score_service.reconcile.repairs._NEAR_MAX", 5)
    for _ in range(3):
        await ledger.record_awards("main", [make_award(), make_award()])
    await projector.catch_up("main")

    assert projector.repairs.rebuilt == 1
    assert await is_projected(ledger, projection)


async def test_small_boards_do_not_wait_for_large_ones(
    ledger: Ledger, projection: Projection, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("score_service.reconcile.repairs._LARGE", 5)
    gate = RebuildGate(monkeypatch)
    large = [f"large{i}" for i in range(4)]
    for board in large:
        await ledger.record_awards(board, [make_award(board_id=board) for _ in range(10)])

    async def has_begun() -> bool:
        return len(gate.waiting) == 2

    async with projector.scanner.running(0.02):
        await eventually(has_begun)
        # What is small goes its way meanwhile, along the ledger.
        for i in range(12):
            small = await ledger.record_awards(f"small{i}", [make_award(board_id=f"small{i}")])
            await projection.apply_changes(small.changes)
            await ledger.record_awards(f"small{i}", [make_award(board_id=f"small{i}")])
        for i in range(12):
            await eventually(partial(is_projected, ledger, projection, f"small{i}"))
        assert len(gate.waiting) == 2
        gate.opened.set()
        for board in large:
            await eventually(partial(is_projected, ledger, projection, board))


async def test_board_is_repaired_once_at_a_time(
    ledger: Ledger, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = RebuildGate(monkeypatch)
    await ledger.record_awards("main", [make_award()])

    waiting = [asyncio.create_task(projector.catch_up("main")) for _ in range(10)]

    async def has_begun() -> bool:
        return bool(gate.waiting)

    await eventually(has_begun)
    gate.opened.set()
    assert {position.revision for position in await asyncio.gather(*waiting)} == {1}
    assert gate.waiting == ["main"]


async def test_repairs_end_with_the_loop(
    ledger: Ledger, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = RebuildGate(monkeypatch)
    await ledger.record_awards("main", [make_award()])

    async def has_begun() -> bool:
        return bool(gate.waiting)

    async with projector.scanner.running(0.02):
        await eventually(has_begun)
        waiting = asyncio.create_task(projector.catch_up("main"))
        await asyncio.sleep(0)

    assert len(projector.repairs) == 0
    with pytest.raises(ProjectionUnavailableError):
        await waiting


async def test_board_whose_rebuilds_keep_failing_is_not_rebuilt_at_every_scan(
    ledger: Ledger, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.record_awards("main", [make_award()])
    tried = list[str]()

    async def fail(_rebuilder: Rebuilder, board_id: str) -> None:
        tried.append(board_id)

    monkeypatch.setattr(Rebuilder, "rebuild", fail)
    for _ in range(8):
        with pytest.raises(ProjectionUnavailableError):
            await projector.catch_up("main")

    assert len(tried) < 8
    with pytest.raises(ProjectionUnavailableError, match="keep failing"):
        await projector.catch_up("main")


async def test_failure_is_not_logged_as_one_of_the_call_that_began_the_repair(projector: Projector) -> None:
    with capture_logs(processors=[merge_contextvars]) as logs:
        with bound_contextvars(caller="spiffe://laurel.local/backend"):
            repair = projector.repairs.begin("main")
        await asyncio.wait([repair])
        await asyncio.sleep(0)

    assert [(entry["board_id"], entry.get("caller")) for entry in logs] == [("main", None)]


async def test_board_is_rebuilt_at_once_when_redis_accepts_writes_again(
    ledger: Ledger, standings: Standings, rejecting_redis: RejectingRedis, redis_prefix: str
) -> None:
    await ledger.record_awards("main", [make_award()])
    settings = ProjectionSettings(rejecting_redis.access, prefix=redis_prefix, timeout=5)
    async with Projection.open(settings) as projection:
        projector = make_projector(ledger, standings, projection)
        await rejecting_redis.reject("few_replicas")
        for _ in range(10):
            with pytest.raises(ProjectionUnavailableError):
                await projector.catch_up("main")
        await rejecting_redis.accept("few_replicas")

        await projector.catch_up("main")

        assert await is_projected(ledger, projection)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_projection_that_stands_before_the_cut_is_made_again(
    ledger: Ledger, projection: Projection, projector: Projector, archiving: Archiving, *, is_deleted: bool
) -> None:
    await projector.project((await ledger.record_awards("main", [make_award("ada", 1)])).changes)
    for user in ("bob", "ada", "cyd"):
        await ledger.record_awards("main", [make_award(user, 2)])
    expected = await expected_top(ledger)
    await archiving.cut(3)
    if is_deleted:
        await archiving.delete()

    position = await projector.catch_up("main")

    reading = await projection.get_standings("main", (), 10)
    assert projector.repairs.rebuilt == 1
    assert position == await ledger.read_head("main")
    assert reading is not None
    assert list(reading.top) == expected


async def test_projection_that_stands_at_the_cut_follows_the_ledger(
    ledger: Ledger, projection: Projection, projector: Projector, archiving: Archiving
) -> None:
    await projector.project((await ledger.record_awards("main", [make_award("ada", 1)])).changes)
    for user in ("bob", "ada"):
        await ledger.record_awards("main", [make_award(user, 2)])
    expected = await expected_top(ledger)
    await archiving.cut_and_delete(1)

    await projector.catch_up("main")

    reading = await projection.get_standings("main", (), 10)
    assert projector.repairs.rebuilt == 0
    assert reading is not None
    assert list(reading.top) == expected
