"""A board's projection made anew, on real stores, with a stop before any step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import accumulate
from typing import Any, cast

import psycopg
import pytest
from redis.asyncio import Redis
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.steps import Step, Stepped
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers import postgres
from tests.fixtures.servers.redis import access_to, delete_keys, restore_keys, save_keys
from tests.fixtures.servers.stores import NO_RETRIES, eventually, expected_top, is_projected, make_award

from local_stack.servers.ports import HOST
from local_stack.servers.valkey import ValkeyServer
from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.domain.standings.standing import Source
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError
from score_service.projection.generation import Generation
from score_service.projection.keys import Keys
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.projection.redis_servers import ServersSettings
from score_service.projection.scripts import Cache
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild import rebuilder as rebuilder_module
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import Standings
from service_runtime.redis.access import RedisAccess, RedisUrl


@pytest.fixture
def step_rebuilder(
    ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection
) -> Callable[[Step], Rebuilder]:
    """Return a function that makes a rebuilder of small pages, which tells of each step before it."""

    def make(before: Step) -> Rebuilder:
        stores = [Stepped(store, before) for store in (ledger, standings, periods, projection)]
        return Rebuilder(*cast("tuple[Any, Any, Any, Any]", stores), NO_RETRIES, page_size=2)

    return make


async def make_board(ledger: Ledger, users: int = 5, board_id: str = "main") -> None:
    for round_ in range(3):
        awards = [
            make_award(f"user{(i * 7 + round_) % users}", i + 1, board_id=board_id) for i in range(users)
        ]
        await ledger.record_awards(board_id, awards)


async def keys_of(redis: "Redis", prefix: str, board_id: str = "main") -> dict[str, int]:
    """Find the keys of a board, and for how many seconds they live, -1 for ever."""
    keys = [key async for key in redis.scan_iter(f"{prefix}*") if f"{{{board_id}}}" in key]
    return {key: await redis.ttl(key) for key in keys}


def foreign(board_id: str, revision: int) -> Changes:
    start = Position.start(board_id)
    return Changes(board_id, start, Position(revision, "f" * 16), (Change("ghost", 99, revision),))


async def test_wiped_board_is_made_again(
    ledger: Ledger,
    projection: Projection,
    rebuilder: Rebuilder,
    redis_url: str,
    redis_prefix: str,
    projector: Projector,
) -> None:
    await make_board(ledger)
    await projector.catch_up("main")
    await delete_keys(redis_url, redis_prefix)

    rebuilt = await rebuilder.rebuild("main")

    assert rebuilt is not None
    assert (rebuilt.position, rebuilt.members) == (await ledger.read_head("main"), 5)
    assert await is_projected(ledger, projection)


async def test_board_that_is_in_order_may_be_rebuilt(
    ledger: Ledger, projection: Projection, rebuilder: Rebuilder, redis: "Redis", redis_prefix: str
) -> None:
    await make_board(ledger)
    await rebuilder.rebuild("main")
    former = await projection.read_header("main")

    await rebuilder.rebuild("main")

    header = await projection.read_header("main")
    assert former
    assert header
    assert header.generation != former.generation
    assert await is_projected(ledger, projection)
    assert list((await keys_of(redis, redis_prefix)).values()) == [-1] * 3


async def test_board_without_awards_is_not_made(rebuilder: Rebuilder) -> None:
    with pytest.raises(BoardNotFoundError):
        await rebuilder.rebuild("main")


async def test_board_that_the_record_does_not_have_is_dropped(
    projection: Projection, rebuilder: Rebuilder, redis: "Redis", redis_prefix: str
) -> None:
    await projection.apply_changes(foreign("main", 3))

    with pytest.raises(BoardNotFoundError):
        await rebuilder.rebuild("main")

    assert await keys_of(redis, redis_prefix) == {}


async def test_progress_is_reported_page_by_page(
    ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection
) -> None:
    await make_board(ledger)
    told = list[int]()

    await Rebuilder(ledger, standings, periods, projection, NO_RETRIES, page_size=2).rebuild(
        "main", on_progress=told.append
    )

    assert told == [2, 2, 1]


@pytest.mark.parametrize("revision", [1, 14, 15, 16, 1000])
async def test_header_of_another_history_is_dropped_before_the_board_is_made(
    ledger: Ledger,
    projection: Projection,
    step_rebuilder: Callable[[Step], Rebuilder],
    revision: int,
) -> None:
    await make_board(ledger)
    await projection.apply_changes(foreign("main", revision))
    read = list[object]()

    async def look(step: str) -> None:
        if step in {"read_page", "load", "switch"}:
            read.append(await projection.get_standings("main", (), 10))

    await step_rebuilder(look).rebuild("main")

    assert read
    assert not any(read)
    assert await is_projected(ledger, projection)


async def test_reads_and_awards_go_on_while_a_board_is_made(
    ledger: Ledger, standings: Standings, periods: PeriodStore, projection: Projection, projector: Projector
) -> None:
    users = 40
    await ledger.record_awards("main", [make_award(f"user{i}", 1) for i in range(users)])
    await projector.catch_up("main")
    done = asyncio.Event()

    async def award() -> None:
        number = 0
        while not done.is_set():
            batch = await ledger.record_awards("main", [make_award(f"user{number % (2 * users)}", 1)])
            await projector.project(batch.changes)
            number += 7

    async def read() -> list[int]:
        revisions = list[int]()
        while not done.is_set():
            reading = await projection.get_standings("main", (), 1000)
            assert reading
            # Every award has one point, so nobody is missing or counted twice.
            assert sum(standing.total for standing in reading.top) == reading.position.revision
            revisions.append(reading.position.revision)
        return revisions

    async def rebuild() -> list[bool]:
        rebuilder = Rebuilder(ledger, standings, periods, projection, NO_RETRIES, page_size=3)
        try:
            return [bool(await rebuilder.rebuild("main")) for _ in range(10)]
        finally:
            done.set()

    rebuilt, revisions, _ = await asyncio.gather(rebuild(), read(), award())

    assert any(rebuilt)
    assert revisions == sorted(revisions)
    await projector.catch_up("main")
    assert await is_projected(ledger, projection)


async def test_two_at_once_make_one_generation(
    ledger: Ledger,
    standings: Standings,
    periods: PeriodStore,
    projection_settings: ProjectionSettings,
    redis: "Redis",
    redis_prefix: str,
) -> None:
    await make_board(ledger, 50)
    async with Projection.open(projection_settings) as one, Projection.open(projection_settings) as two:
        both = [
            Rebuilder(ledger, standings, periods, projection, NO_RETRIES, page_size=3)
            for projection in (one, two)
        ]

        made = await asyncio.gather(*(rebuilder.rebuild("main") for rebuilder in both))

        assert len([rebuilt for rebuilt in made if rebuilt]) == 1
        assert await is_projected(ledger, two)
        assert list((await keys_of(redis, redis_prefix)).values()) == [-1] * 3


async def count_steps(step_rebuilder: Callable[[Step], Rebuilder], board_id: str) -> list[str]:
    steps = list[str]()

    async def note(step: str) -> None:
        steps.append(step)

    await step_rebuilder(note).rebuild(board_id)
    return steps


@pytest.mark.parametrize("another_rebuilds", [True, False])
async def test_rebuilder_that_slept_before_any_step_does_no_harm(
    ledger: Ledger,
    projection: Projection,
    projector: Projector,
    rebuilder: Rebuilder,
    step_rebuilder: Callable[[Step], Rebuilder],
    redis: "Redis",
    redis_prefix: str,
    another_rebuilds: bool,  # noqa: FBT001 - A parameter of the test.
) -> None:
    await make_board(ledger, board_id="first")
    steps = await count_steps(step_rebuilder, "first")
    assert steps.index("switch") > steps.index("load") > steps.index("read_page")

    for pause, _ in enumerate(steps):
        board = f"board{pause}"
        await make_board(ledger, board_id=board)
        left = iter(range(pause, -1, -1))

        async def sleep(_step: str, board: str = board, left: Any = left) -> None:
            if next(left, None) != 0:
                return
            batch = await ledger.record_awards(board, [make_award("late", 3, board_id=board)])
            if another_rebuilds:
                await rebuilder.rebuild(board)
            await projection.apply_changes(batch.changes)
            await ledger.record_awards(board, [make_award("user1", 500, board_id=board)])

        await step_rebuilder(sleep).rebuild(board)

        await projector.catch_up(board)
        assert await is_projected(ledger, projection, board)
        assert list((await keys_of(redis, redis_prefix, board)).values()) == [-1] * 3


async def test_rebuilder_that_slept_until_its_keys_were_gone_does_no_harm(
    ledger: Ledger,
    projection: Projection,
    step_rebuilder: Callable[[Step], Rebuilder],
    redis: "Redis",
    redis_prefix: str,
) -> None:
    await make_board(ledger)

    async def expire(step: str) -> None:
        if step == "switch":
            await redis.delete(*await keys_of(redis, redis_prefix))

    assert await step_rebuilder(expire).rebuild("main") is None
    assert await projection.read_header("main") is None


async def test_rebuilder_notices_that_redis_stepped_back(
    ledger: Ledger,
    projection: Projection,
    step_rebuilder: Callable[[Step], Rebuilder],
    redis_url: str,
    redis_prefix: str,
) -> None:
    await make_board(ledger)
    saved = list[dict[bytes, tuple[bytes, int]]]()

    async def step_back(step: str) -> None:
        if step == "load":
            saved.append(await save_keys(redis_url, redis_prefix))
        elif step == "count_page":
            # It forgets what a replay said of users that it keeps: their number would not tell.
            batch = await ledger.record_awards("main", [make_award("user1", 500)])
            assert batch.changes.changes
        elif step == "switch":
            await restore_keys(redis_url, redis_prefix, saved[-1])

    assert await step_rebuilder(step_back).rebuild("main") is None
    assert await projection.read_header("main") is None


async def test_keys_of_a_rebuilder_that_was_killed_go_by_themselves(
    ledger: Ledger, step_rebuilder: Callable[[Step], Rebuilder], redis: "Redis", redis_prefix: str
) -> None:
    await make_board(ledger)

    async def kill(step: str) -> None:
        if step in {"switch", "discard"}:
            raise ProjectionUnavailableError

    with pytest.raises(ProjectionUnavailableError):
        await step_rebuilder(kill).rebuild("main")

    lives = (await keys_of(redis, redis_prefix)).values()
    assert len(lives) == 4
    assert all(0 < seconds <= 120 for seconds in lives)


@pytest.mark.parametrize("step_size", [1, 1_000])
async def test_rebuild_that_ends_before_any_step_is_gone_on_with_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
    step_size: int,
    ledger: Ledger,
    projection: Projection,
    step_rebuilder: Callable[[Step], Rebuilder],
    redis: "Redis",
    redis_prefix: str,
) -> None:
    monkeypatch.setattr(rebuilder_module, "_STEP_SIZE", step_size)
    await make_board(ledger, board_id="first")
    steps = await count_steps(step_rebuilder, "first")
    pages = steps.count("read_page")
    last_steps = list(accumulate(-(-page // step_size) for page in (2, 2, 1)))

    for pause, name in enumerate(steps):
        board = f"board{pause}"
        await make_board(ledger, board_id=board)
        left = iter(range(pause, -1, -1))

        async def end(_step: str, left: Any = left) -> None:
            if next(left, None) == 0:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await step_rebuilder(end).rebuild(board)
        # A newcomer among the users that were loaded, one after them, and a standing that has moved.
        awards = [make_award(user, 3, board_id=board) for user in ("user00", "user9", "user1")]
        await ledger.record_awards(board, awards)
        again = await count_steps(step_rebuilder, board)

        assert await is_projected(ledger, projection, board), (pause, name)
        assert list((await keys_of(redis, redis_prefix, board)).values()) == [-1] * 3
        loaded = sum(steps[:pause].count("load") >= last for last in last_steps)
        assert again.count("read_page") <= pages - loaded + 1


async def test_rebuild_that_waits_long_for_the_record_is_left_to_its_maker(
    ledger: Ledger,
    projection: Projection,
    step_rebuilder: Callable[[Step], Rebuilder],
    redis: "Redis",
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebuilder_module, "_KEEP_SECONDS", 0.01)
    await make_board(ledger)

    async def wait(step: str) -> None:
        if step == "count_page":
            await redis.expire(Keys(redis_prefix).making("main"), 60)  # As long after the last step.
            await eventually(partial(projection.is_being_made, "main"))

    assert await step_rebuilder(wait).rebuild("main")
    assert list((await keys_of(redis, redis_prefix)).values()) == [-1] * 3


async def test_rebuild_that_is_taken_over_leaves_the_work_to_who_took_it(
    ledger: Ledger,
    projection: Projection,
    rebuilder: Rebuilder,
    step_rebuilder: Callable[[Step], Rebuilder],
) -> None:
    await make_board(ledger)
    loads = list[str]()

    async def take_over(step: str) -> None:
        loads.extend([step] if step == "load" else [])
        if len(loads) == 2:
            loads.append("taken over")
            assert await rebuilder.rebuild("main")

    assert await step_rebuilder(take_over).rebuild("main") is None
    assert await is_projected(ledger, projection)


async def test_what_was_loaded_of_another_history_is_not_gone_on_with(
    ledger: Ledger,
    projection: Projection,
    rebuilder: Rebuilder,
    step_rebuilder: Callable[[Step], Rebuilder],
    database: postgres.Database,
    redis: "Redis",
    redis_prefix: str,
) -> None:
    await make_board(ledger)

    async def end(step: str) -> None:
        if step == "switch":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await step_rebuilder(end).rebuild("main")
    lose_tail(database, 10)
    await ledger.record_awards("main", [make_award("user0", 1) for _ in range(20)])

    assert await rebuilder.rebuild("main")
    assert await is_projected(ledger, projection)
    assert list((await keys_of(redis, redis_prefix)).values()) == [-1] * 3


async def test_step_that_takes_longer_than_its_deadline_is_asked_again_while_other_boards_are_read(
    ledger: Ledger,
    standings: Standings,
    periods: PeriodStore,
    valkey_server: ValkeyServer,
    redis_prefix: str,
    start_proxy: Callable[[str], Awaitable[Proxy]],
) -> None:
    await make_board(ledger, 20)
    await make_board(ledger, board_id="other")
    proxy = await start_proxy(f"{HOST}:{valkey_server.port}")
    slow = RedisAccess(RedisUrl.parse(f"redis://{proxy.address}"), valkey_server.password)
    loads = list[str]()
    async with (
        Cache.open(ServersSettings(access_to(valkey_server), 5, 4, 4)) as cache,
        Cache.open(ServersSettings(slow, 0.2, 4, 0)) as bulk,
    ):
        projection, retries = Projection(cache, bulk, redis_prefix), RetryPolicy(20, pause=0.01)

        async def hold(step: str) -> None:
            loads.extend([step] if step == "load" else [])
            if step == "load" and len(loads) == 3:
                proxy.hold_replies()  # The step is made, and nobody learns it.

        stepped: Any = Stepped(projection, hold)
        rebuilder = Rebuilder(ledger, standings, periods, stepped, retries, page_size=3)
        assert await Rebuilder(ledger, standings, periods, projection, retries).rebuild("other")
        rebuilding = asyncio.create_task(rebuilder.rebuild("main"))

        async def is_repeated() -> bool:
            reading = await projection.get_standings("other", (), 1)
            assert reading
            assert reading.source is Source.CACHE
            return retries.repeated >= 2

        await eventually(is_repeated)
        proxy.release()
        rebuilt = await rebuilding

        assert rebuilt
        assert rebuilt.members == 20
        assert await is_projected(ledger, projection)
    assert loads.count("load") == 7 + retries.repeated


@pytest.mark.parametrize("step", ["read_page", "read_changes", "count_page"])
async def test_board_is_not_made_of_two_histories(
    ledger: Ledger,
    projection: Projection,
    rebuilder: Rebuilder,
    step_rebuilder: Callable[[Step], Rebuilder],
    database: postgres.Database,
    step: str,
) -> None:
    await make_board(ledger)
    seen = list[str]()

    async def restore(this: str) -> None:
        if this == "load" and seen.count("load") == 0:
            await ledger.record_awards("main", [make_award("user9", 1), make_award("user0", 1)])
        seen.append(this)
        if this == step and seen.count(step) == (2 if step == "read_page" else 1):
            lose_tail(database, 10)
            await ledger.record_awards("main", [make_award("user0", 1) for _ in range(20)])

    assert await step_rebuilder(restore).rebuild("main") is None
    assert seen.count(step)
    assert await projection.read_header("main") is None

    assert await rebuilder.rebuild("main")
    assert await is_projected(ledger, projection)


def lose_tail(database: postgres.Database, upto: int) -> None:
    """Take the record back to an earlier commit, as a failover to a standby behind does."""
    with psycopg.connect(database.admin_dsn) as connection:
        for statement in (
            "SELECT FROM score.board FOR UPDATE",  # Awards that are being recorded come before or after it.
            "DELETE FROM score.award WHERE revision > %(upto)s",
            "DELETE FROM score.commit WHERE last_revision > %(upto)s",
            "DELETE FROM score.standing",
            """INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
               SELECT board_id, 'all_time', user_id, max(total_after), max(revision)
               FROM score.award GROUP BY board_id, user_id""",
            """UPDATE score.board b SET revision = c.last_revision, digest = c.digest
               FROM score.commit c WHERE c.board_id = b.board_id AND c.last_revision = %(upto)s""",
        ):
            connection.execute(statement, {"upto": upto})


class Counted:
    """Counts the pages that are in memory."""

    def __init__(self) -> None:
        self.held = self.most = 0

    def change(self, by: int) -> None:
        """Take note of pages that came or went."""
        self.held += by
        self.most = max(self.most, self.held)


async def test_two_pages_are_held_at_most(
    ledger: Ledger,
    standings: Standings,
    periods: PeriodStore,
    projection: Projection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for part in range(5):
        await ledger.record_awards("main", [make_award(f"user{part}-{i}") for i in range(1000)])
    pages = Counted()
    read_page, load = standings.read_page, Generation.load

    async def counted_read(*arguments: Any) -> Any:
        page = await read_page(*arguments)
        pages.change(page is not None)
        return page

    async def counted_load(
        generation: Generation, lines: Mapping[str, str], checkpoint: Checkpoint, **named: Any
    ) -> bool:
        assert len(lines[ALL_TIME].split("\n")) <= 100
        loaded = await load(generation, lines, checkpoint, **named)
        pages.change(-1)
        return loaded

    monkeypatch.setattr(standings, "read_page", counted_read)
    monkeypatch.setattr(Generation, "load", counted_load)

    rebuilt = await Rebuilder(ledger, standings, periods, projection, NO_RETRIES, page_size=100).rebuild(
        "main"
    )

    assert rebuilt
    assert rebuilt.members == 5000
    assert 1 <= pages.most <= 2
    assert pages.held == 0


async def test_what_was_loaded_up_to_a_position_before_the_cut_is_not_gone_on_with(
    ledger: Ledger,
    projection: Projection,
    rebuilder: Rebuilder,
    step_rebuilder: Callable[[Step], Rebuilder],
    archiving: Archiving,
) -> None:
    await make_board(ledger)

    async def end(step: str) -> None:
        if step == "switch":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await step_rebuilder(end).rebuild("main")
    await ledger.record_awards("main", [make_award("user0", 1)])
    expected = await expected_top(ledger)
    await archiving.cut_and_delete()

    assert await rebuilder.rebuild("main")
    reading = await projection.get_standings("main", (), len(expected))
    assert reading is not None
    assert list(reading.top) == expected
