"""Awards from many callers to several processes: once in the record, once in the ranks, in one order."""

import asyncio
import itertools
import uuid
from functools import partial

from tests.fixtures.ledgers.record import award, check_ranks, check_record, read_ledger, wait_for_awards
from tests.fixtures.servers.mortal_valkey import MortalValkey
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.redis import delete_keys, save_keys
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import Stack, target_of

from score_client import AwardResult, ScoreClient, Snapshot, Update


async def test_two_hundred_copies_of_one_award_are_one_award(stack: Stack, database: Database) -> None:
    service = await stack.start_score_service()
    award_id, requests = uuid.uuid4(), [uuid.uuid4() for _ in range(20)]
    async with stack.client(target_of(service)) as client:
        results = await asyncio.gather(
            *(
                award(client, "ada", 7, award_id=award_id, request_id=request)
                for request in itertools.islice(itertools.cycle(requests), 200)
            )
        )
        await check_ranks(client, check_record(database))

    ((row),) = read_ledger(database)
    assert {(r.revision, r.total, r.position) for r in results} == {(1, 7, results[0].position)}
    expected = [request != row[7] for request in itertools.islice(itertools.cycle(requests), 200)]
    assert [result.replayed for result in results] == expected


async def test_two_processes_keep_one_order(stack: Stack, database: Database) -> None:
    services = [await stack.start_score_service() for _ in range(2)]
    async with (
        stack.client(target_of(services[0])) as one,
        stack.client(target_of(services[1])) as two,
    ):

        async def player(n: int) -> list[AwardResult]:
            clients = itertools.cycle([one, two])
            return [await award(next(clients), f"user{n}", n % 5 + 1) for _ in range(40)]

        results = await asyncio.gather(*(player(n) for n in range(50)))

        expected = check_record(database)
        assert len(read_ledger(database)) == 2000
        for n, own in enumerate(results):
            assert [result.total for result in own] == [(n % 5 + 1) * i for i in range(1, 41)]
            assert sorted(own, key=lambda result: result.revision) == own
        await check_ranks(one, expected)
        await check_ranks(two, expected)


async def test_killed_service_loses_no_acknowledged_award(stack: Stack, database: Database) -> None:
    first = await stack.start_score_service()
    acknowledged: list[AwardResult] = []
    async with stack.client(target_of(first)) as client:

        async def caller(n: int) -> None:
            while True:
                result = await award(client, f"user{n}")
                acknowledged.append(result)

        callers = [asyncio.create_task(caller(n)) for n in range(8)]
        await wait_for_awards(database, 100)
        await asyncio.to_thread(first.kill)
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    second = await stack.start_score_service()

    rows = {row[1]: row for row in read_ledger(database)}
    assert all(rows[result.award_id][0] == result.revision for result in acknowledged)
    async with stack.client(target_of(second)) as client:
        await check_ranks(client, check_record(database))


async def test_wiped_and_killed_valkey_fails_no_award_and_heals(
    stack: Stack, database: Database, mortal_valkey: MortalValkey
) -> None:
    await mortal_valkey.start()
    service = await stack.start_score_service(
        redis_url=mortal_valkey.url, redis_password_file=mortal_valkey.password_file
    )
    async with stack.client(target_of(service)) as client:
        running = asyncio.Event()
        running.set()

        async def caller(n: int) -> None:
            while running.is_set():
                await award(client, f"user{n}")

        callers = [asyncio.create_task(caller(n)) for n in range(4)]
        await wait_for_awards(database, 50)
        async with mortal_valkey.client() as redis:
            await redis.flushall()
        await wait_for_awards(database, 100)
        await mortal_valkey.kill()
        without = await award(client, "user99")
        await wait_for_awards(database, 150)
        await mortal_valkey.start()
        await wait_for_awards(database, 200)
        running.clear()
        await asyncio.gather(*callers)

        async def is_healed() -> bool:
            found = await client.get_award(board_id="main", award_id=without.award_id)
            return found.rank is not None

        assert without.rank is None
        await eventually(is_healed)
        await check_ranks(client, check_record(database))


async def test_watcher_resumed_across_a_lost_projection_ends_like_an_uninterrupted_one(
    stack: Stack, database: Database, redis_url: str, redis_prefix: str
) -> None:
    service = await stack.start_score_service()
    async with stack.client(target_of(service)) as client:
        await award(client, "user0")
        stayed: dict[str, int] = {}
        left: dict[str, int] = {}
        position = await follow(client, left, None, 1)
        staying = asyncio.create_task(follow(client, stayed, position, 41))
        for n in range(20):
            await award(client, f"user{n % 6}")
        await eventually(partial(has_keys, redis_url, redis_prefix))
        await delete_keys(redis_url, redis_prefix)
        for n in range(20):
            await award(client, f"user{n % 7}")
        await follow(client, left, position, 41)
        await staying

    assert left == stayed
    totals = {user: total for user, total, _ in check_record(database)}
    assert {"user0": 1, **stayed} == totals


async def has_keys(url: str, prefix: str) -> bool:
    return bool(await save_keys(url, prefix))


async def follow(client: ScoreClient, totals: dict[str, int], after: str | None, until: int) -> str:
    """Follow the board up to a revision, and add up what it says; return the last position."""
    async with asyncio.timeout(60):
        async for event in client.watch(board_id="main", top_n=10, after_position=after, all_scores=True):
            if isinstance(event, Update):
                totals.update({standing.user_id: standing.total for standing in event.scores})
            is_resumed = after is None or not isinstance(event, Snapshot)
            if event.revision >= until and is_resumed:
                return event.position
    raise AssertionError
