"""Watches on real stores: complete, in order, and resumable."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace

import psycopg
import pytest
from redis.asyncio import Redis
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.ledgers.boards import EVERYTHING, QUICK, Boards, Interrupted, Watching
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.redis import access_to_nobody, delete_keys
from tests.fixtures.servers.stores import eventually, expected_top, make_award, make_projector

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.domain.standings.watch import Checkpoint, Snapshot, Update, WatchMessage, WatchRequest
from score_service.errors import (
    BoardNotFoundError,
    ShuttingDownError,
    WatcherEvictedError,
)
from score_service.projection.keys import Keys
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.reconcile.projector import Projector
from score_service.record.ledger import Ledger
from score_service.stream.feeds import Feeds
from score_service.stream.hub import HubSettings
from score_service.stream.hubs import Hubs


async def test_first_message_is_the_top(boards: Boards) -> None:
    await boards.award("ada", "bob", points=3)
    watching = await boards.watch(replace(EVERYTHING, top_n=1))

    message = await watching.step()

    assert message.body == Snapshot((Standing("ada", 3, 1, 1),), reset=False)
    assert message.position == await boards.ledger.read_head("main")


async def test_awards_arrive_as_updates_with_ranks(boards: Boards) -> None:
    await boards.award("ada", points=5)
    watching = await boards.watch()
    await watching.step()

    await boards.award("bob", points=9)
    message = await watching.step()

    assert message.body == Update(
        (Standing("bob", 9, 1, 2), Standing("ada", 5, 2, 1)), (Standing("bob", 9, 1, 2),)
    )


async def test_change_after_a_pause_is_sent_at_once(
    boards: Boards, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = 0, feeds.projection.get_standings

    async def get_standings(
        board_id: str, user_ids: Sequence[str] = (), top_n: int = 0, period_id: str = ALL_TIME
    ) -> Reading | None:
        nonlocal looks
        looks += 1
        return await look(board_id, user_ids, top_n, period_id)

    async def has_looked_often() -> bool:
        return looks >= 5

    monkeypatch.setattr(feeds.projection, "get_standings", get_standings)
    await boards.award("ada", points=5)
    settings = HubSettings(tick_seconds=600, poll_seconds=0.01)
    async with Hubs(feeds, settings).running() as hubs, aclosing(hubs.watch(EVERYTHING)) as messages:
        watching = Watching(messages)
        await watching.step()
        await eventually(has_looked_often)
        await boards.award("bob", points=9)

        assert (await watching.step()).position == await boards.ledger.read_head("main")


async def test_many_awards_end_in_the_fold_of_the_ledger(boards: Boards) -> None:
    await boards.award("user0")
    watching = await boards.watch()
    await watching.step()

    async def writer(n: int) -> None:
        for i in range(20):
            await boards.award(f"user{(n * 7 + i) % 11}", points=i % 4 + 1)

    await asyncio.gather(*(writer(n) for n in range(5)), watching.until(101))

    assert list(watching.top) == (await expected_top(boards.ledger))[:10]
    totals = {s.user_id: s.total for s in await expected_top(boards.ledger)}
    assert watching.totals == totals
    assert watching.resets == 0
    assert watching.positions == sorted(watching.positions, key=lambda p: p.revision)


async def test_every_position_sent_is_one_of_the_ledger(boards: Boards) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    for i in range(5):
        await boards.award(f"user{i}", "ada")
    await watching.until(11)

    for position in watching.positions:
        assert await boards.ledger.has_position("main", position)


async def test_resumed_watcher_ends_like_one_that_never_left(boards: Boards) -> None:
    await boards.award("ada", "bob")
    stayed, left = await boards.watch(), await boards.watch()
    await stayed.step()
    await left.step()
    await boards.award("ada", points=4)
    await left.until(3)

    for i in range(10):
        await boards.award(f"user{i % 3}", "bob")
    await stayed.until(23)
    resumed = await boards.watch(replace(EVERYTHING, after=left.position))
    await resumed.until(23)
    await resumed.step()

    assert left.totals | resumed.totals == stayed.totals
    assert resumed.top == stayed.top
    assert resumed.resets == 0
    assert "ada" not in resumed.totals


async def test_resume_after_the_projection_was_lost_misses_nothing(
    boards: Boards, redis_url: str, redis_prefix: str
) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    async with Redis.from_url(redis_url) as client:
        await client.delete(*[key async for key in client.scan_iter(f"{redis_prefix}*")])

    await boards.award("bob", points=2)
    await watching.until(2)
    resumed = await boards.watch(replace(EVERYTHING, after=watching.positions[0]))
    await resumed.step()
    await resumed.step()

    assert watching.totals == resumed.totals == {"bob": 2}
    assert watching.top == resumed.top


async def test_lost_hint_is_made_up_from_the_ledger(boards: Boards, projection: Projection) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    (hub,) = boards.hubs._hubs.values()
    hub.note = lambda hint: None  # type: ignore[method-assign]

    await boards.award("bob", points=2)
    await boards.award("ada", points=2)
    await watching.until(3)

    assert watching.totals == {"bob": 2, "ada": 3}


@pytest.mark.parametrize("after", [Position(1, "f" * 16), Position(99, "0" * 16), Position(0, "0" * 16)])
async def test_position_of_another_history_gets_a_reset(boards: Boards, after: Position) -> None:
    await boards.award("ada")
    await boards.award("bob")
    watching = await boards.watch(replace(EVERYTHING, after=after))

    message = await watching.step()

    assert isinstance(message.body, Snapshot)
    assert message.body.reset
    assert [s.user_id for s in message.body.top] == ["ada", "bob"]


async def test_position_too_far_back_gets_a_reset(ledger: Ledger, projector: Projector, feeds: Feeds) -> None:
    batch = await ledger.record_awards("main", [make_award(f"user{i}") for i in range(20)])
    await projector.project(batch.changes)
    settings = replace(QUICK, resume_max=10)

    async with (
        Hubs(feeds, settings).running() as hubs,
        aclosing(hubs.watch(replace(EVERYTHING, after=Position.start("main")))) as stream,
    ):
        message = await anext(stream)

    assert isinstance(message.body, Snapshot)
    assert message.body.reset


async def test_resume_from_the_very_start_sends_every_score(boards: Boards) -> None:
    await boards.award("ada", "bob")
    watching = await boards.watch(replace(EVERYTHING, after=Position.start("main")))
    await watching.step()

    message = await watching.step()

    assert isinstance(message.body, Update)
    assert set(message.body.scores) == {Standing("ada", 1, 1, 1), Standing("bob", 1, 2, 2)}


async def test_resume_with_nothing_missed_vouches_for_its_position_at_once(boards: Boards) -> None:
    await boards.award("ada")
    left = await boards.watch()
    await left.step()
    await boards.award("bob")
    await left.until(2)
    watching = await boards.watch(replace(EVERYTHING, after=left.position))
    snapshot = await watching.step()

    message = await watching.step()

    assert isinstance(snapshot.body, Snapshot)
    assert isinstance(message.body, Checkpoint)
    assert message.position == snapshot.position == left.position


async def test_resume_with_nothing_missed_of_the_wanted_users_vouches_for_its_position(
    boards: Boards,
) -> None:
    await boards.award("ada")
    before = await boards.ledger.read_head("main")
    await boards.award("bob")
    request = WatchRequest("main", top_n=1, after=before, user_ids=frozenset({"ada"}))
    watching = await boards.watch(request)
    await watching.step()

    message = await watching.step()

    assert isinstance(message.body, Checkpoint)
    assert message.position.revision == 2


async def test_watcher_that_saw_more_than_the_projection_gets_it_from_the_record(
    boards: Boards, ledger: Ledger
) -> None:
    await boards.award("ada")
    head = (await ledger.record_awards("main", [make_award("bob", 2)])).changes.after
    watching = await boards.watch(replace(EVERYTHING, after=head))

    message = await watching.step()

    assert (message.position, message.source) == (head, Source.RECORD)
    assert message.body == Snapshot((Standing("bob", 2, 1, 2), Standing("ada", 1, 2, 1)), reset=False)


async def test_idle_watch_gets_checkpoints(ledger: Ledger, projector: Projector, feeds: Feeds) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)
    settings = replace(QUICK, checkpoint_seconds=0.05)

    async with (
        Hubs(feeds, settings).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as stream,
    ):
        await anext(stream)
        message = await anext(stream)

    assert isinstance(message.body, Checkpoint)
    assert (message.position, message.source) == (batch.changes.after, Source.CACHE)


async def test_board_without_awards_cannot_be_watched(boards: Boards) -> None:
    watching = await boards.watch(WatchRequest("nothing", 10))

    with pytest.raises(BoardNotFoundError):
        await watching.step()


async def test_watch_ends_where_the_record_is_restored_to_before_the_board(
    boards: Boards, database: Database, redis_url: str, redis_prefix: str
) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE score.board, score.award, score.commit, score.standing")
    await delete_keys(redis_url, redis_prefix)

    with pytest.raises(BoardNotFoundError):
        await watching.step()


async def test_watches_beyond_the_limit_are_rejected(
    ledger: Ledger, projector: Projector, feeds: Feeds
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)

    async with (
        Hubs(feeds, replace(QUICK, watchers_max=1)).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as one,
        aclosing(hubs.watch(EVERYTHING)) as other,
    ):
        await anext(one)
        with pytest.raises(WatcherEvictedError):
            await anext(other)


async def test_close_ends_every_watch(boards: Boards) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()

    boards.hubs.close()

    with pytest.raises(ShuttingDownError):
        await watching.step()
    late = await boards.watch()
    with pytest.raises(ShuttingDownError):
        await late.step()


async def test_hub_ends_with_its_last_watcher(boards: Boards) -> None:
    await boards.award("ada")
    async with aclosing(boards.hubs.watch(EVERYTHING)) as stream:
        await anext(stream)
        assert boards.hubs.watchers == 1

    async def has_ended() -> bool:
        return not boards.hubs._tasks

    assert boards.hubs.watchers == 0
    assert boards.hubs._hubs == {}
    await eventually(has_ended)


async def test_boards_beyond_the_connections_of_the_projection_can_be_watched(
    ledger: Ledger, feeds: Feeds, projection_settings: ProjectionSettings
) -> None:
    settings = replace(projection_settings, connections_max=2, subscriptions_max=2, timeout=0.5)
    async with AsyncExitStack() as stack:
        projection = await stack.enter_async_context(Projection.open(settings))
        projector = make_projector(ledger, feeds.standings, projection)
        crowded = replace(feeds, projection=projection)
        hubs = await stack.enter_async_context(Hubs(crowded, QUICK).running())
        watches = []
        for board in ("one", "two", "three", "four"):
            batch = await ledger.record_awards(board, [make_award(board_id=board)])
            await projector.project(batch.changes)
            stream = hubs.watch(replace(EVERYTHING, board_id=board))
            watches.append(Watching(await stack.enter_async_context(aclosing(stream))))
            await watches[-1].step()
        for board, watching in zip(("one", "two", "three", "four"), watches, strict=True):
            batch = await ledger.record_awards(board, [make_award("bob", 2, board_id=board)])
            await projector.project(batch.changes)
            await watching.until(2)
            assert watching.totals == {"bob": 2}


async def test_watches_begun_at_once_keep_to_the_limit(
    ledger: Ledger, projector: Projector, feeds: Feeds
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)

    async with (
        Hubs(feeds, replace(QUICK, watchers_max=1)).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as one,
        aclosing(hubs.watch(EVERYTHING)) as other,
    ):
        results = await asyncio.gather(anext(one), anext(other), return_exceptions=True)

    assert [type(result) for result in results] == [WatchMessage, WatcherEvictedError]


async def test_watch_that_begins_while_the_hubs_close_is_ended(
    ledger: Ledger, projector: Projector, feeds: Feeds
) -> None:
    batch = await ledger.record_awards("main", [make_award()])
    await projector.project(batch.changes)
    interrupted = Interrupted(feeds.projection)

    async with Hubs(replace(feeds, projection=interrupted), QUICK).running() as hubs:

        async def close() -> None:
            hubs.close()

        interrupted.meanwhile = close
        async with aclosing(hubs.watch(EVERYTHING)) as stream:
            with pytest.raises(ShuttingDownError):
                await anext(stream)


async def test_what_is_no_hint_does_not_end_the_watch(
    boards: Boards, redis_url: str, redis_prefix: str
) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    async with Redis.from_url(redis_url) as client:
        for noise in ("", "[]", "{", '{"before": [1], "after": 2}', b"\xff"):
            await client.spublish(Keys(redis_prefix).channel("main"), noise)

    await boards.award("bob", points=2)
    await watching.until(2)

    assert watching.totals == {"bob": 2}


async def fold(boards: Boards) -> dict[str, int]:
    return {standing.user_id: standing.total for standing in await expected_top(boards.ledger)}


async def test_watch_goes_on_from_the_ledger_while_redis_is_a_black_hole(
    lossy_boards: Boards, redis_proxy: Proxy
) -> None:
    await lossy_boards.award("ada", points=3)
    watching = await lossy_boards.watch()
    await watching.step()
    redis_proxy.hold()

    await lossy_boards.record("bob", "cyd", points=5)
    await watching.until(3)
    await lossy_boards.record("bob")
    await watching.until(4)

    assert watching.sources[0] is Source.CACHE
    assert watching.sources[-1] is Source.RECORD
    assert watching.totals == {"bob": 6, "cyd": 5}
    assert list(watching.top) == await expected_top(lossy_boards.ledger)
    assert watching.position == await lossy_boards.ledger.read_head("main")
    assert watching.resets == 0


async def test_watch_returns_to_redis_without_a_gap(lossy_boards: Boards, redis_proxy: Proxy) -> None:
    await lossy_boards.award("ada")
    watching = await lossy_boards.watch(replace(EVERYTHING, after=Position.start("main")))
    await watching.until(1)
    for outage in range(3):
        redis_proxy.hold()
        redis_proxy.reset()
        await watching.until(await lossy_boards.record(f"user{outage}", "ada"))
        redis_proxy.release()
        await lossy_boards.record(f"user{outage}", "bob")
        await lossy_boards.projector.catch_up("main")
        await watching.until(await lossy_boards.award("ada", f"late{outage}"))
        await watching.until_source(Source.CACHE)

    assert Source.RECORD in watching.sources
    assert watching.totals == await fold(lossy_boards)
    assert list(watching.top) == await expected_top(lossy_boards.ledger)
    assert watching.positions == sorted(watching.positions, key=lambda position: position.revision)
    assert watching.resets == 0


async def test_source_returns_to_redis_also_while_nothing_changes(
    feeds: Feeds, boards: Boards, lossy_projection: Projection, redis_proxy: Proxy
) -> None:
    await boards.award("ada")
    settings = replace(QUICK, checkpoint_seconds=0.05)
    async with (
        Hubs(replace(feeds, projection=lossy_projection), settings).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as stream,
    ):
        watching = Watching(stream)
        await watching.until_source(Source.CACHE)
        redis_proxy.hold()
        redis_proxy.reset()
        await watching.until_source(Source.RECORD)
        redis_proxy.release()
        await watching.until_source(Source.CACHE)

    assert {position.revision for position in watching.positions} == {1}


async def test_watch_begins_while_redis_is_unavailable(
    ledger: Ledger, projector: Projector, feeds: Feeds, free_port: Callable[[], int]
) -> None:
    batch = await ledger.record_awards("main", [make_award("ada", 4), make_award("bob", 9)])
    async with (
        Projection.open(ProjectionSettings(access_to_nobody(free_port()))) as projection,
        Hubs(replace(feeds, projection=projection), QUICK).running() as hubs,
        aclosing(hubs.watch(EVERYTHING)) as stream,
    ):
        watching = Watching(stream)
        first = await watching.step()
        await ledger.record_awards("main", [make_award("ada", 7)])
        await watching.until(3)

    assert first.body == Snapshot((Standing("bob", 9, 1, 2), Standing("ada", 4, 2, 1)), reset=False)
    assert (first.position, first.source) == (batch.changes.after, Source.RECORD)
    assert watching.top == (Standing("ada", 11, 1, 3), Standing("bob", 9, 2, 2))
    assert watching.totals == {"ada": 11}


async def test_watch_resumes_from_the_ledger_after_redis_was_lost_and_while_it_is_unavailable(
    lossy_boards: Boards, redis_proxy: Proxy, redis_url: str, redis_prefix: str
) -> None:
    await lossy_boards.award("ada", "bob")
    left, stayed = await lossy_boards.watch(), await lossy_boards.watch()
    await left.step()
    await stayed.step()
    await lossy_boards.award("ada")
    await left.until(3)
    redis_proxy.hold()
    async with Redis.from_url(redis_url) as client:
        await client.delete(*[key async for key in client.scan_iter(f"{redis_prefix}*")])
    await lossy_boards.record("cyd", "ada")

    resumed = await lossy_boards.watch(replace(EVERYTHING, after=left.position))
    await resumed.until(5)
    await stayed.until(5)
    while not resumed.totals:
        await resumed.step()

    assert left.totals | resumed.totals == stayed.totals == {"ada": 3, "cyd": 1}
    assert resumed.top == stayed.top
    assert resumed.resets == 0
    assert resumed.sources[-1] is Source.RECORD


async def test_board_without_projection_is_watched_from_the_record(boards: Boards) -> None:
    await boards.record("ada", points=3)
    watching = await boards.watch()
    await watching.step()
    await boards.record("ada")
    await watching.until(2)

    assert watching.sources == [Source.RECORD, Source.RECORD]
    assert watching.totals == {"ada": 4}


async def test_users_below_the_top_have_no_rank_while_the_record_feeds(boards: Boards) -> None:
    await boards.record(*(f"user{i}" for i in range(101)), points=50)
    watching = await boards.watch()
    await watching.step()
    await boards.record("ada", "user7")
    message = await watching.step()

    assert isinstance(message.body, Update)
    assert set(message.body.scores) == {Standing("ada", 1, None, 102), Standing("user7", 51, 1, 103)}


async def test_ranks_below_the_top_are_left_out_of_a_resumed_watch_if_the_projection_has_moved_on(
    boards: Boards, feeds: Feeds
) -> None:
    await boards.award(*(f"user{i}" for i in range(101)), points=2)
    left = await boards.ledger.read_head("main")
    await boards.award("ada")
    await boards.award("user7")
    interrupted = Interrupted(feeds.projection)

    async def bob_scores() -> None:
        await boards.award("bob", points=9)

    interrupted.meanwhile = bob_scores
    async with (
        Hubs(replace(feeds, projection=interrupted), QUICK).running() as hubs,
        aclosing(hubs.watch(replace(EVERYTHING, after=left))) as stream,
    ):
        snapshot, update = await anext(stream), await anext(stream)

    assert snapshot.position.revision == 103
    assert isinstance(update.body, Update)
    assert set(update.body.scores) == {Standing("ada", 1, None, 102), Standing("user7", 3, 1, 103)}


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_position_before_the_cut_gets_a_reset(
    boards: Boards, archiving: Archiving, *, is_deleted: bool
) -> None:
    await boards.award("ada")
    await boards.award("bob")
    await boards.award("cyd")
    cut = await archiving.cut(2)
    if is_deleted:
        await archiving.delete()

    for after, is_reset in ((archiving.former[1], True), (Position.start("main"), True), (cut, False)):
        watching = await boards.watch(replace(EVERYTHING, after=after))
        message = await watching.step()
        assert isinstance(message.body, Snapshot)
        assert message.body.reset is is_reset
        assert [s.user_id for s in message.body.top] == ["ada", "bob", "cyd"]


async def test_watch_goes_on_while_the_cut_passes_by(boards: Boards, archiving: Archiving) -> None:
    await boards.award("ada")
    watching = await boards.watch()
    await watching.step()
    await boards.award("bob", points=2)
    await archiving.cut_and_delete(2)
    await boards.award("ada", points=3)
    await watching.until(4)
    assert [(s.user_id, s.total) for s in watching.top] == [("ada", 4), ("bob", 2)]
    # What it had not shown yet by then, nobody can tell any more.
    assert watching.resets or watching.totals == {"ada": 4, "bob": 2}
