"""The subscription to a board that all its hubs share, on a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis
from redis.crc import key_slot
from tests.fixtures.ledgers.boards import EVERYTHING, QUICK, PeriodBoards, Watching
from tests.fixtures.ledgers.periods import SETTINGS
from tests.fixtures.servers.stores import eventually, make_award
from tests.fixtures.servers.valkey_nodes import Node, ValkeyCluster

from score_service.domain.board.period import parse_period_choice
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.watch import WatchRequest
from score_service.projection.keys import Keys
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.stream.feeds import Feeds
from score_service.stream.hubs import Hubs
from score_service.stream.subscription import Subscription

BY_HINTS_ALONE = replace(QUICK, poll_seconds=600)
CHOICES = (None, *map(parse_period_choice, ("day", "week", "week:2026-W49")))


def asking_for(board_id: str = "main") -> list[WatchRequest]:
    """Return a request for each choice of period of a board."""
    return [replace(EVERYTHING, board_id=board_id, choice=choice) for choice in CHOICES]


async def open_watch(stack: AsyncExitStack, hubs: Hubs, request: WatchRequest) -> Watching:
    watching = Watching(await stack.enter_async_context(aclosing(hubs.watch(request))))
    await watching.step()
    return watching


async def wait_for_subscribers(redis: Redis, channel: str, count: int) -> None:
    async def are_there() -> bool:
        return bool((await redis.pubsub_shardnumsub(channel))[0][1] == count)

    await eventually(are_there)


async def test_hubs_of_a_board_are_fed_by_one_subscription(
    period_boards: PeriodBoards, feeds: Feeds, redis_url: str, redis_prefix: str
) -> None:
    channel = Keys(redis_prefix).channel("main")
    await period_boards.award("ada", 3)
    async with Redis.from_url(redis_url) as redis, Hubs(feeds, BY_HINTS_ALONE).running() as hubs:
        async with AsyncExitStack() as stack:
            watches = [await open_watch(stack, hubs, request) for request in asking_for("main")]
            await wait_for_subscribers(redis, channel, 1)
            made = await period_boards.award("bob", 2)
            for watching in watches:
                await watching.until(made.recorded.revision)

            assert await redis.pubsub_shardnumsub(channel) == [(channel.encode(), 1)]
            assert [watching.totals for watching in watches] == [{"bob": 2}] * len(CHOICES)
        await wait_for_subscribers(redis, channel, 0)


async def test_subscription_lasts_as_long_as_any_hub_of_the_board(
    period_boards: PeriodBoards, feeds: Feeds
) -> None:
    await period_boards.award("ada", 3)
    first, second, *_ = asking_for("main")
    async with Hubs(feeds, BY_HINTS_ALONE).running() as hubs, AsyncExitStack() as stack:
        staying = await open_watch(stack, hubs, second)
        async with AsyncExitStack() as passing:
            await open_watch(passing, hubs, first)
        made = await period_boards.award("bob", 2)
        await staying.until(made.recorded.revision)

        assert staying.totals == {"bob": 2}


async def test_limit_of_subscriptions_counts_boards(
    period_boards: PeriodBoards, feeds: Feeds, projection_settings: ProjectionSettings
) -> None:
    await period_boards.configure(SETTINGS, "other")
    for board_id in ("main", "other"):
        await period_boards.scoring.award(make_award("ada", 3, board_id=board_id))
    async with (
        Projection.open(replace(projection_settings, subscriptions_max=2)) as projection,
        Hubs(replace(feeds, projection=projection), BY_HINTS_ALONE).running() as hubs,
        AsyncExitStack() as stack,
    ):
        for board_id in ("main", "other"):
            watches = [await open_watch(stack, hubs, request) for request in asking_for(board_id)]
            made = await period_boards.scoring.award(make_award("bob", 2, board_id=board_id))
            for watching in watches:
                await watching.until(made.recorded.revision)
                assert watching.totals == {"bob": 2}


async def test_channel_that_has_moved_is_subscribed_to_again_at_once(
    valkey_cluster: ValkeyCluster, redis_prefix: str
) -> None:
    slot, source = key_slot(b"moved"), valkey_cluster.owner_of("moved")
    target = next(node for node in valkey_cluster.nodes if node is not source)
    settings = ProjectionSettings(valkey_cluster.access, prefix=redis_prefix, timeout=5)
    channel = f"{redis_prefix}{{moved}}:changes"

    def subscribers_at(node: Node) -> int:
        return int(node.ask("PUBSUB", "SHARDNUMSUB", channel)[1])

    async with Projection.open(settings) as projection:
        # After a loss it would wait for longer than this test lasts.
        subscription = Subscription("moved", projection, pause_seconds=600)
        task = subscription.start()
        await eventually(lambda: asyncio.to_thread(lambda: subscribers_at(source) == 1))
        valkey_cluster.begin_move(slot, source, target)
        valkey_cluster.end_move(slot, target)
        await eventually(lambda: asyncio.to_thread(lambda: subscribers_at(target) == 1))
        subscription.stop()
        await asyncio.wait([task])


async def test_subscription_that_is_stopped_twice_closes_its_connection(projection: Projection) -> None:
    closing, closed = asyncio.Event(), asyncio.Event()

    class Slow:
        @asynccontextmanager
        async def subscribe(self, board_id: str) -> AsyncIterator[AsyncIterator[Hint]]:
            async with projection.subscribe(board_id) as hints:
                try:
                    yield hints
                finally:
                    closing.set()
                    await asyncio.sleep(0)
                    closed.set()

    slow: Any = Slow()
    subscription = Subscription("main", slow, 1.0)
    task = subscription.start()
    await eventually(lambda: _is_receiving(subscription))

    subscription.stop()
    await closing.wait()
    subscription.stop()
    await asyncio.wait([task])

    assert closed.is_set()


async def _is_receiving(subscription: Subscription) -> bool:
    await asyncio.sleep(0)
    return subscription._receiving
