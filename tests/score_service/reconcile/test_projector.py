"""The projection follows the ledger, whatever happened to it meanwhile."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis.asyncio import Redis
from tests.fixtures.postgres import Database
from tests.fixtures.proxy import Proxy
from tests.fixtures.redis import restore_keys, save_keys
from tests.fixtures.stores import eventually, is_projected, make_award, make_projector

from score_service.domain.changes import Change, Changes
from score_service.domain.position import Position
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuilder import Rebuilder
from score_service.record import database as record_database
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings
from service_runtime.postgres.pool import PoolSettings


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


async def test_board_that_another_process_makes_is_left_to_it(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award()])
    other = projection.make_generation("main", None)
    await other.load("ada 1 1")

    with pytest.raises(ProjectionUnavailableError, match="Another process makes it"):
        await projector.catch_up("main")

    await other.discard()
    await projector.catch_up("main")
    assert (projector.rebuilt, projector.given_up) == (1, 0)


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


class Gate:
    """Rebuilds that wait until they are let through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[str] = []
        self.opened = asyncio.Event()
        self._rebuild = Rebuilder.rebuild
        gate = self

        async def rebuild(rebuilder: Rebuilder, board_id: str) -> Any:
            gate.waiting.append(board_id)
            await gate.opened.wait()
            return await gate._rebuild(rebuilder, board_id)

        monkeypatch.setattr(Rebuilder, "rebuild", rebuild)


async def damage(redis: "Redis", prefix: str, *ends: str) -> None:
    """Delete the keys of the main board with these ends."""
    keys = [key async for key in redis.scan_iter(f"{prefix}*") if key.endswith(ends)]
    assert len(keys) == len(ends)
    await redis.delete(*keys)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


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
    redis: "Redis",
    redis_prefix: str,
    lost: tuple[str, ...],
) -> None:
    await ledger.record_awards("main", [make_award(f"user{i}", i + 1) for i in range(20)])
    async with projector.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))
        await damage(redis, redis_prefix, *lost)
        await eventually(lambda: is_projected(ledger, projection))

    assert len([key async for key in redis.scan_iter(f"{redis_prefix}*")]) == 3
    assert projector.rebuilt == 2


@pytest.mark.parametrize("lost", [(":ranks",), (":totals",), (":ranks", ":totals")])
async def test_nothing_is_applied_to_a_board_that_lost_a_key(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    redis: "Redis",
    redis_prefix: str,
    lost: tuple[str, ...],
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])
    await projector.catch_up("main")
    await damage(redis, redis_prefix, *lost)

    batch = await ledger.record_awards("main", [make_award("cyd", 7)])

    assert await projector.project(batch.changes) == {"cyd": 2}
    assert await is_projected(ledger, projection)


async def test_redis_that_stepped_back_is_brought_on(
    ledger: Ledger, projection: Projection, projector: Projector, redis_url: str, redis_prefix: str
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5), make_award("bob", 9)])
    async with projector.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))
        saved = await save_keys(redis_url, redis_prefix)
        await ledger.record_awards("main", [make_award("ada", 50), make_award("cyd", 1)])
        await eventually(lambda: is_projected(ledger, projection))
        await restore_keys(redis_url, redis_prefix, saved)
        await eventually(lambda: is_projected(ledger, projection))

    assert projector.rebuilt == 1


async def test_loop_replaces_another_history_of_the_same_length(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    start = Position.start("main")
    ghost = Changes("main", start, Position(2, "f" * 16), (Change("ghost", 99, 2),))
    await projection.apply_changes(ghost)
    await ledger.record_awards("main", [make_award("ada", 5), make_award("ada", 6)])

    async with projector.running(0.02):
        await eventually(lambda: is_projected(ledger, projection))


async def test_award_is_not_ranked_among_another_history(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    start = Position.start("main")
    await projection.apply_changes(
        Changes("main", start, Position(9, "f" * 16), (Change("ghost", 99, 8), Change("ada", 5, 9)))
    )
    batch = await ledger.record_awards("main", [make_award("ada", 5)])

    assert await projector.project(batch.changes) == {"ada": 1}


async def test_board_far_behind_is_made_anew_instead_of_walked(
    ledger: Ledger, projection: Projection, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    await projector.project((await ledger.record_awards("main", [make_award()])).changes)
    for _ in range(3):
        await ledger.record_awards("main", [make_award(), make_award()])
    await projector.catch_up("main")
    assert projector.rebuilt == 0

    monkeypatch.setattr("score_service.reconcile.projector._NEAR_MAX", 5)
    for _ in range(3):
        await ledger.record_awards("main", [make_award(), make_award()])
    await projector.catch_up("main")

    assert projector.rebuilt == 1
    assert await is_projected(ledger, projection)


async def test_award_on_a_board_with_much_to_make_up_does_not_wait(
    ledger: Ledger, projection: Projection, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("score_service.reconcile.projector._NEAR_MAX", 5)
    gate = Gate(monkeypatch)
    await ledger.record_awards("main", [make_award() for _ in range(10)])
    batch = await ledger.record_awards("main", [make_award()])

    assert await projector.project(batch.changes) == {}
    assert await projector.ranks_at("main", ["ada"], 11) == {}

    gate.opened.set()
    await eventually(lambda: is_projected(ledger, projection))
    assert await projector.ranks_at("main", ["ada", "nobody"], 11) == {"ada": 1}
    assert gate.waiting == ["main"]


async def test_ranks_are_told_at_the_revision_asked_or_not_at_all(
    ledger: Ledger, projector: Projector
) -> None:
    await ledger.record_awards("main", [make_award("ada", 5)])
    await projector.catch_up("main")
    await ledger.record_awards("main", [make_award("bob", 9)])

    assert await projector.ranks_at("main", ["ada"], 1) == {"ada": 1}
    assert await projector.ranks_at("main", ["ada"], 2) == {"ada": 2}
    assert await projector.ranks_at("main", ["ada"], 3) == {}


async def test_small_boards_do_not_wait_for_large_ones(
    ledger: Ledger, projection: Projection, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("score_service.reconcile.projector._LARGE", 5)
    gate = Gate(monkeypatch)
    large = [f"large{i}" for i in range(4)]
    for board in large:
        await ledger.record_awards(board, [make_award(board_id=board) for _ in range(10)])

    async def has_begun() -> bool:
        return len(gate.waiting) == 2

    async with projector.running(0.02):
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
    gate = Gate(monkeypatch)
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
    gate = Gate(monkeypatch)
    await ledger.record_awards("main", [make_award()])

    async def has_begun() -> bool:
        return bool(gate.waiting)

    async with projector.running(0.02):
        await eventually(has_begun)
        waiting = asyncio.create_task(projector.catch_up("main"))
        await asyncio.sleep(0)

    assert projector._repairs == {}
    with pytest.raises(ProjectionUnavailableError):
        await waiting


async def test_board_that_the_record_lost_is_dropped(
    ledger: Ledger, projection: Projection, projector: Projector, database: Database
) -> None:
    batch = await ledger.record_awards("main", [make_award()])

    async def is_known() -> bool:
        return "main" in projector._known

    async def is_dropped() -> bool:
        return await projection.read_header("main") is None

    async with projector.running(0.02):
        await projector.project(batch.changes)
        await eventually(is_known)
        await projector.confirm("main")
        with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
            connection.execute("TRUNCATE score.board, score.award, score.commit, score.standing")
        await eventually(is_dropped)

    with pytest.raises(BoardNotFoundError):
        await projector.confirm("main")


async def test_board_that_the_record_never_had_is_dropped_when_it_is_asked_for(
    ledger: Ledger, projection: Projection, projector: Projector
) -> None:
    ghost = Changes("ghosts", Position.start("ghosts"), Position(1, "f" * 16), (Change("ghost", 99, 1),))
    await projection.apply_changes(ghost)

    with pytest.raises(BoardNotFoundError):
        await projector.confirm("ghosts")

    assert await projection.read_header("ghosts") is None
    await ledger.record_awards("main", [make_award()])
    await projector.confirm("main")


async def test_board_is_taken_to_be_there_while_the_record_is_unavailable(
    standings: Standings, projection: Projection, free_port: Callable[[], int]
) -> None:
    settings = PoolSettings(f"host=127.0.0.1 port={free_port()}", wait_seconds=0.1)
    async with record_database.Database.open(settings) as unavailable:
        projector = make_projector(Ledger(unavailable), standings, projection)

        await projector.confirm("main")


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
                await projector.confirm("main")
        proxy.release()

        async def is_known() -> bool:
            return "main" in projector._known

        await eventually(is_known)


async def test_lag_is_not_known_while_redis_is_unavailable(
    ledger: Ledger, standings: Standings, lossy_projection: Projection, redis_proxy: Proxy
) -> None:
    await ledger.record_awards("main", [make_award()])
    projector = make_projector(ledger, standings, lossy_projection)
    assert math.isnan(projector.lag)

    async def is_there() -> bool:
        return projector.lag == 0

    async def is_away() -> bool:
        return math.isnan(projector.lag)

    async with projector.running(0.02):
        await eventually(is_there)
        redis_proxy.hold()
        await eventually(is_away)
        looks = projector.looks
        redis_proxy.release()
        await eventually(is_there)
    assert projector.looks > looks
