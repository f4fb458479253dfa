"""A primary of Redis that dies and is replaced by Sentinel, with awards going on."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

import pytest
from tests.fixtures.ledgers.awarding import Awarding
from tests.fixtures.servers.stores import eventually, is_projected
from tests.fixtures.servers.valkey_nodes import Node, SentinelSet
from tests.fixtures.services.score_service import StartScoreService
from tests.fixtures.services.stack import Stack

from score_client import Snapshot, Source, Update
from score_service.operations.boards import verify

BOARDS = ("main", "season-1", "season-2")


@pytest.mark.parametrize(
    ("lose", "bring_back"), [(Node.kill, Node.spawn), (Node.pause, Node.resume)], ids=["dead", "black hole"]
)
async def test_primary_is_lost_and_no_award_fails_while_ranks_and_watches_follow_to_the_next(
    start_score_service: StartScoreService,
    stack: Stack,
    sentinel_set: SentinelSet,
    lose: Callable[[Node], None],
    bring_back: Callable[[Node], object],
) -> None:
    service = await start_score_service(
        redis_url=sentinel_set.login.url,
        redis_password_file=sentinel_set.login.password_file,
        redis_sentinel_password_file=sentinel_set.sentinel_password_file,
    )
    seen, sources, resets = dict[str, int](), list[Source](), list[bool]()

    async def follow() -> None:
        async with aclosing(client.watch(board_id="main", top_n=10)) as events:
            async for event in events:
                sources.append(event.source)
                if isinstance(event, Snapshot):
                    resets.append(event.reset)
                if isinstance(event, Snapshot | Update) and event.top is not None:
                    seen.update((standing.user_id, standing.total) for standing in event.top)

    async with stack.client(service.target) as client:
        async with Awarding.on(client, BOARDS) as awarding:
            await awarding.ranked("main")
            watching = asyncio.create_task(follow())
            former = sentinel_set.primary()
            current = await sentinel_set.fail_over(lose)
            assert current is not former
            assert current.ask("ROLE")[0] == "master"
            for board_id in BOARDS:
                await awarding.ranked(board_id)
            assert await service.metric("laurel_projection_rebuilds") == 0
            bring_back(former)
            await awarding.more("main", 5)  # The old primary runs again, is writable, and is not used.

        async def has_seen_all() -> bool:
            return seen == dict(awarding.totals["main"]) and sources[-1] is Source.CACHE

        for board_id in BOARDS:
            await eventually(partial(is_projected, service.ledger, service.projection, board_id))
        await awarding.assert_counted_once()
        await eventually(has_seen_all)
        watching.cancel()
    # A busy machine may see one more failover, to a replica that is behind: what is missing is applied.
    await eventually(lambda: verify(service.settings, []))
    assert resets == [False]
