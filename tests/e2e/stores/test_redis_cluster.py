"""A cluster of Redis below a score service, while slots move and nodes die, with awards going on."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

import pytest
from redis.crc import key_slot
from tests.fixtures.ledgers.awarding import Awarding
from tests.fixtures.servers.stores import eventually, is_projected, make_award
from tests.fixtures.servers.valkey_nodes import Node, ValkeyCluster
from tests.fixtures.services.score_service import ScoreService, StartScoreService
from tests.fixtures.services.stack import Stack

from score_client import ScoreClient, Snapshot, Source, Update
from score_service.operations.boards import verify

BOARDS = ("main", "season-1", "season-2", "season-3", "season-4", "season-5")


@pytest.fixture
async def service(start_score_service: StartScoreService, valkey_cluster: ValkeyCluster) -> ScoreService:
    return await start_score_service(
        redis_url=valkey_cluster.url("score-service"),
        redis_password_file=valkey_cluster.password_file,
    )


@pytest.fixture
async def client(service: ScoreService, stack: Stack) -> AsyncIterator[ScoreClient]:
    async with stack.client(service.target) as client:
        yield client


def others(cluster: ValkeyCluster, board_id: str) -> tuple[Node, Node]:
    """Return which node has a board, and another one."""
    owner = cluster.owner_of(board_id)
    return owner, next(node for node in cluster.nodes if node is not owner)


async def follow(client: ScoreClient, board_id: str, totals: dict[str, int]) -> None:
    async with aclosing(client.watch(board_id=board_id, top_n=10)) as events:
        async for event in events:
            if isinstance(event, Snapshot | Update) and event.top is not None:
                totals.update((standing.user_id, standing.total) for standing in event.top)


async def assert_all_is_well(service: ScoreService, awarding: Awarding) -> None:
    for board_id in awarding.results:
        await eventually(partial(is_projected, service.ledger, service.projection, board_id))
    await awarding.assert_counted_once()
    assert await verify(service.settings, [])


async def test_slot_of_a_board_moves_and_no_award_is_lost_or_doubled(
    service: ScoreService, client: ScoreClient, valkey_cluster: ValkeyCluster
) -> None:
    board, slot, seen = "season-1", key_slot(b"season-1"), dict[str, int]()
    source, target = others(valkey_cluster, board)
    async with Awarding.on(client, BOARDS) as awarding:
        await awarding.ranked(board)
        watching = asyncio.create_task(follow(client, board, seen))
        valkey_cluster.begin_move(slot, source, target)
        await awarding.ranked(board)
        valkey_cluster.move_keys(slot, source, target, 1)
        await awarding.more(board)  # Its keys are apart: there may be no rank.
        while valkey_cluster.move_keys(slot, source, target, 10):
            pass
        await awarding.ranked(board)  # By the node that does not have the slot yet.
        assert source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
        valkey_cluster.end_move(slot, target)
        await awarding.ranked(board)

    async def has_seen_all() -> bool:
        return seen == dict(awarding.totals[board])

    await assert_all_is_well(service, awarding)
    await eventually(has_seen_all)
    assert valkey_cluster.denied() == []
    watching.cancel()
    assert valkey_cluster.owner_of(board) is target
    assert {valkey_cluster.owner_of(board_id).port for board_id in BOARDS} > {target.port}


async def test_slot_that_is_handed_over_as_a_whole_is_read_all_the_time(
    service: ScoreService, client: ScoreClient, valkey_cluster: ValkeyCluster
) -> None:
    """Valkey 9 moves a slot as one. Towards the end it holds back whatever may write, from the whole node."""
    board, slot = "season-1", key_slot(b"season-1")
    source, target = others(valkey_cluster, board)
    async with Awarding.on(client, BOARDS) as awarding:
        await awarding.ranked(board)
        source.ask("CLIENT", "PAUSE", 60_000, "WRITE")
        for _ in range(5):
            reading = await service.projection.get_standings(board, (), 1)
            assert reading is not None
        source.ask("CLIENT", "UNPAUSE")
        valkey_cluster.hand_over(slot, source, target)

        async def is_handed_over() -> bool:
            return valkey_cluster.owner_of(board) is target

        await eventually(is_handed_over)
        await awarding.ranked(board)

    await assert_all_is_well(service, awarding)
    assert valkey_cluster.denied() == []


async def test_cluster_that_serves_nothing_while_a_slot_is_down_is_replaced_by_the_record(
    service: ScoreService, client: ScoreClient, valkey_cluster: ValkeyCluster
) -> None:
    lost, _ = others(valkey_cluster, "main")
    kept = next(board for board in BOARDS if valkey_cluster.owner_of(board) is not lost)
    async with Awarding.on(client, BOARDS) as awarding:
        await awarding.ranked(kept)
        with valkey_cluster.requiring_all_slots():
            lost.kill()

            async def is_read_from(source: Source) -> bool:
                return (await client.list_standings(board_id=kept, page_size=1)).source is source

            await eventually(partial(is_read_from, Source.RECORD))
            await awarding.more(kept, 1)  # It may have been on its way.
            assert {result.rank for result in await awarding.more(kept)} == {None}
            lost.spawn()
            await eventually(partial(is_read_from, Source.CACHE))
        await awarding.ranked(kept)

    await assert_all_is_well(service, awarding)


async def test_node_fails_and_recovers_while_boards_of_the_others_keep_their_ranks(
    service: ScoreService, client: ScoreClient, valkey_cluster: ValkeyCluster
) -> None:
    lost, _ = others(valkey_cluster, "main")
    kept, quiet = (
        next(board for board in boards if valkey_cluster.owner_of(board) is not lost)
        for boards in (BOARDS, (f"season-{number}" for number in range(10, 100)))
    )
    await service.ledger.record_awards(quiet, [make_award("ada", board_id=quiet)])
    await eventually(partial(is_projected, service.ledger, service.projection, quiet))

    async def is_lag_unknown() -> bool:
        return math.isnan(await service.metric("laurel_projection_lag_revisions"))

    async with Awarding.on(client, BOARDS) as awarding:
        await awarding.ranked("main")
        await awarding.ranked(kept)
        lost.kill()
        await awarding.more("main", 1)  # It may have been on its way.
        assert {result.rank for result in await awarding.more("main")} == {None}
        for _ in range(5):
            await awarding.ranked(kept)
        header = await service.projection.read_header(quiet)
        assert header is not None
        await service.projection.drop_board(quiet, header)  # Only the check of all boards finds it.
        await eventually(partial(is_projected, service.ledger, service.projection, quiet))
        await eventually(is_lag_unknown)  # The check that found it may not have ended.
        lost.spawn()
        await awarding.ranked("main")

    await assert_all_is_well(service, awarding)
