"""Processes that break at a named point of their work: nothing is lost, nothing is done twice."""

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

import httpx2 as httpx
import pytest
from redis.asyncio import Redis
from tests.fixtures.clients.browser import Browser, edge, join
from tests.fixtures.ledgers.record import award, check_ranks, check_record, read_ledger
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.stack import Stack, target_of, target_of_all

from score_client import AwardResult, ScoreClient, ServiceFaultError

AWARDS = 12


def launcher(spec: str) -> tuple[str, str]:
    """Return the program that starts a service with failpoints."""
    return "faults.launchers.failpoints", spec


def has_died(service: RunningService) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return service.child.exit_code is not None

    return condition


def reached(service: RunningService, failpoint: str) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return any("failpoint_reached" in line and failpoint in line for line in service.log().splitlines())

    return condition


async def award_for_sure(client: ScoreClient, user_id: str) -> AwardResult:
    """Make an award, and send it again after a fault that leaves its outcome unknown."""
    send = partial(award, client, user_id, award_id=uuid.uuid4(), request_id=uuid.uuid4())
    with suppress(ServiceFaultError):
        return await send()
    return await send()


@pytest.mark.parametrize(
    "failpoint",
    [
        "before_commit=kill@3",
        "after_commit=kill@3",
        "after_apply=kill@3",
        "after_commit=pause@3",
        "after_commit=fail@3",
    ],
)
async def test_an_award_that_crashed_the_service_is_made_once_and_returns_its_first_result(
    stack: Stack, database: Database, failpoint: str
) -> None:
    broken = await stack.start_score_service(launcher(failpoint))
    whole = await stack.start_score_service()
    async with stack.client(target_of_all(broken, whole), server_name="localhost") as client:
        # One after the other, so that calls go round as soon as both are connected.
        results: list[AwardResult] = []
        while len(results) < AWARDS or not await reached(broken, failpoint)():
            results.append(await award_for_sure(client, f"user{len(results) % 3}"))
        if "kill" in failpoint:
            await eventually(has_died(broken))
        standings = check_record(database)
        rows = {row[1]: row for row in read_ledger(database)}
        assert len(rows) == len(results)
        assert [(r.revision, r.total) for r in results] == [
            (rows[r.award_id][0], rows[r.award_id][6]) for r in results
        ]
        assert not any(result.replayed for result in results)
        await check_ranks(client, standings)


async def test_a_board_whose_maker_is_killed_halfway_is_made_by_another_process(
    stack: Stack, database: Database, redis_url: str, redis_prefix: str
) -> None:
    broken = await stack.start_score_service(launcher("mid_rebuild=kill@1"))
    async with stack.client(target_of(broken)) as client:
        for number in range(AWARDS):
            await award(client, f"user{number % 5}")
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        await redis.delete(*[key async for key in redis.scan_iter(f"{redis_prefix}{{*")])
        await eventually(has_died(broken))

        assert not [key async for key in redis.scan_iter(f"{redis_prefix}{{*}}")]
    whole = await stack.start_score_service()
    async with stack.client(target_of(whole)) as client:
        await check_ranks(client, check_record(database))


async def test_a_maker_killed_before_it_switches_leaves_the_old_ranks_to_be_read(
    stack: Stack, database: Database, redis_url: str, redis_prefix: str
) -> None:
    broken = await stack.start_score_service(launcher("before_switch=kill@1"), audit_seconds=0.2)
    async with stack.client(target_of(broken)) as client:
        for number in range(AWARDS):
            await award(client, f"user{number % 5}")
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        # A standing that has drifted makes the next audit rebuild the board.
        (totals,) = [key async for key in redis.scan_iter(f"{redis_prefix}*:totals")]
        await redis.hset(totals, "user0", "999:1")
        await eventually(has_died(broken))

        assert await redis.hget(totals, "user0") == "999:1"
    whole = await stack.start_score_service(audit_seconds=0.2)
    async with stack.client(target_of(whole)) as client:
        await eventually(partial(shows, client, check_record(database)))


async def shows(client: ScoreClient, expected: list[tuple[str, int, int]]) -> bool:
    with suppress(AssertionError):
        await check_ranks(client, expected)
        return True
    return False


@pytest.mark.parametrize(
    "failpoint", ["after_reserve=kill@1", "before_award=kill@1", "after_award=kill@1", "after_award=fail@1"]
)
async def test_a_player_whose_gateway_crashed_gets_the_outcome_from_another_one(
    stack: Stack, database: Database, failpoint: str
) -> None:
    service = await stack.start_score_service()
    broken = await stack.start_gateway(target_of(service), launcher(failpoint))
    whole = await stack.start_gateway(target_of(service))
    async with AsyncExitStack() as opened:
        first, second = [
            await opened.enter_async_context(edge(gateway.addresses["http"])) for gateway in (broken, whole)
        ]
        ada = await join(first, "ada")
        token, key = await ada.start("once"), str(uuid.uuid4())
        answer = {"answer": "1", "Idempotency-Key": key}
        if "kill" in failpoint:
            with pytest.raises(httpx.HTTPError):
                await ada.complete(token, **answer)
            await eventually(has_died(broken))
        else:
            assert (await ada.complete(token, **answer)).status_code == 500
        elsewhere = Browser(second, whole.addresses["http"], ada.user_id, ada.token)
        completed = await elsewhere.complete(token, **answer)
        again = await elsewhere.complete(token, **answer)

    assert completed.status_code == 200, completed.text
    assert (completed.json()["pointsEarned"], completed.json()["newTotalScore"]) == (20, 20)
    assert again.json() == completed.json()
    ((row),) = read_ledger(database)
    assert (row[2], row[5]) == (ada.user_id, 20)


@pytest.mark.parametrize(
    ("failpoint", "outcome"),
    [("before_award=kill@1", 200), ("after_award=kill@1", 409), ("after_award=fail@1", 409)],
)
async def test_a_ticket_whose_gateway_crashed_before_its_answer_is_redeemed_once_at_another_one(
    stack: Stack, database: Database, failpoint: str, outcome: int
) -> None:
    service = await stack.start_score_service()
    broken = await stack.start_gateway(target_of(service), launcher(failpoint))
    whole = await stack.start_gateway(target_of(service))
    async with edge(broken.addresses["http"]) as first, edge(whole.addresses["http"]) as second:
        ada = await join(first, "ada")
        performed = await ada.perform("wave")
        if "kill" in failpoint:
            with pytest.raises(httpx.HTTPError):
                await ada.redeem(performed)
            await eventually(has_died(broken))
        else:
            assert (await ada.redeem(performed)).status_code == 500
        elsewhere = Browser(second, whole.addresses["http"], ada.user_id, ada.token)
        redeemed, again = [await elsewhere.redeem(performed) for _ in range(2)]

    assert (redeemed.status_code, again.status_code) == (outcome, 409)
    assert again.json()["award"] == {"pointsEarned": 3, "newTotalScore": 3, "newRank": 1}
    ((row),) = read_ledger(database)
    assert (row[2], row[5]) == (ada.user_id, 3)
