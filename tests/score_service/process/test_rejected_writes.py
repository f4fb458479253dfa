"""A Redis that answers reads and rejects writes: awards go on, the record answers, and operators see it."""

import asyncio
from typing import Any

import grpc
import httpx2 as httpx
import pytest
from tests.fixtures.servers.rejecting_redis import REASONS, RejectingRedis
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as board_pb
from score_api.v1.types_pb2 import Source

SOON_SECONDS = 20.0
"""After which the record is surely asked for what Redis lacks: about one, and a busy machine."""


@pytest.fixture
async def service(start_score_service: StartScoreService, rejecting_redis: RejectingRedis) -> ScoreService:
    url, password_file = rejecting_redis.login.url, rejecting_redis.login.password_file
    return await start_score_service(redis_url=url, redis_password_file=password_file)


@pytest.fixture
def stubs(service: ScoreService, connect: Connect, backend_certificate: CertificateFiles) -> Stubs:
    return connect(service, backend_certificate)


async def missing(service: ScoreService) -> Any:
    async with httpx.AsyncClient(timeout=60) as client:
        response = await client.get(f"{service.admin_url}/readyz")
    assert response.status_code == 200
    return response.json()["missing"]


async def award(stubs: Stubs, user_id: str) -> Any:
    return (await stubs.score.AwardPoints(award_request(user_id=user_id))).result


async def award_with_rank(stubs: Stubs, user_id: str, rank: int) -> None:
    """Make one award, and ask for it again until its answer has the rank: the machine may be busy."""
    request = award_request(user_id=user_id)

    async def has_rank() -> bool:
        result = (await stubs.score.AwardPoints(request)).result
        return bool(result.HasField("rank") and result.rank == rank)

    await eventually(has_rank)


@pytest.mark.parametrize("way", REASONS)
async def test_redis_that_rejects_writes_is_not_shown_for_long_and_catches_up_by_itself(
    service: ScoreService, stubs: Stubs, rejecting_redis: RejectingRedis, way: str
) -> None:
    await award_with_rank(stubs, "ada", 1)
    watch = stubs.leaderboard.WatchLeaderboard(board_pb.WatchLeaderboardRequest(board_id="main", top_n=10))
    frames = aiter(watch)
    assert (await anext(frames)).source == Source.SOURCE_CACHE
    await rejecting_redis.reject(way)

    made = await award(stubs, "bob")
    assert made.total == 10
    assert not made.HasField("rank")

    async def is_read_from_the_record() -> bool:
        page = await stubs.leaderboard.ListStandings(board_pb.ListStandingsRequest(board_id="main"))
        return bool(page.source == Source.SOURCE_RECORD and len(page.standings) == 2)

    async def is_reported() -> bool:
        return bool(await missing(service) == {"projection": REASONS[way]})

    async def is_stale() -> bool:
        return await service.metric("laurel_projection_stale_boards") == 1

    await eventually(is_read_from_the_record)
    async with asyncio.timeout(60):
        while (message := await anext(frames)).revision < 2:
            pass
    assert message.source == Source.SOURCE_RECORD
    await eventually(is_reported)
    await eventually(is_stale)
    assert await service.metric("laurel_part_up", part="projection") == 0

    await rejecting_redis.accept(way)

    async def is_read_from_redis() -> bool:
        page = await stubs.leaderboard.ListStandings(board_pb.ListStandingsRequest(board_id="main"))
        return bool(page.source == Source.SOURCE_CACHE and page.revision == 2)

    async def is_whole() -> bool:
        stale = await service.metric("laurel_projection_stale_boards")
        return stale == 0 and not await missing(service)

    await eventually(is_read_from_redis)
    await eventually(is_whole)
    await award_with_rank(stubs, "cyd", 3)
    watch.cancel()


async def test_user_of_an_acknowledged_award_is_found_while_redis_rejects_writes(
    service: ScoreService, stubs: Stubs, rejecting_redis: RejectingRedis
) -> None:
    async def find(user_id: str, **question: Any) -> board_pb.GetStandingResponse | None:
        request = board_pb.GetStandingRequest(board_id="main", user_id=user_id, **question)
        try:
            return await stubs.leaderboard.GetStanding(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return None

    await award_with_rank(stubs, "ada", 1)
    await rejecting_redis.reject("few_replicas")

    made = await award(stubs, "bob")
    own = await find("bob", min_revision=made.revision)
    assert own
    assert (own.standing.total, own.source) == (10, Source.SOURCE_RECORD)

    async def is_found() -> bool:
        return await find("bob") is not None

    async with asyncio.timeout(SOON_SECONDS):
        await eventually(is_found)

    # The board is known to be behind now, so nobody has to wait any more.
    for user_id in (f"user{number}" for number in range(20)):
        made = await award(stubs, user_id)
        found = await find(user_id)
        assert found
        assert (found.standing.total, found.source) == (10, Source.SOURCE_RECORD)
        assert found.revision >= made.revision


async def test_idle_board_is_read_from_redis_while_that_rejects_writes(
    service: ScoreService, stubs: Stubs, rejecting_redis: RejectingRedis
) -> None:
    await award_with_rank(stubs, "ada", 1)
    await rejecting_redis.reject("few_replicas")

    async def is_reported() -> bool:
        return "projection" in await missing(service)

    await eventually(is_reported)
    page = await stubs.leaderboard.ListStandings(board_pb.ListStandingsRequest(board_id="main"))
    assert page.source == Source.SOURCE_CACHE
