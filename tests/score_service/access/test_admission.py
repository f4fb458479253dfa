"""Slots for calls: how many, which calls get one, and how the others are rejected."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    Stubs,
    award_request,
    rejected,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb
from score_service.access.admission import Admission
from score_service.errors import OverloadedError

CAPACITY = 2


def admission(capacity: int = CAPACITY, clock: Callable[[], float] = lambda: 0.0) -> Admission:
    return Admission("score_api.v1.ScoreService", capacity, clock)


def test_no_more_calls_are_admitted_than_there_are_slots() -> None:
    slots = admission()
    with slots.slot, slots.slot:
        assert slots.is_full
        with pytest.raises(OverloadedError), slots.slot:
            pass
        assert slots.in_flight == CAPACITY


def test_a_slot_is_released_however_the_call_ends() -> None:
    slots = admission(1)
    for end in (ZeroDivisionError, asyncio.CancelledError):
        with pytest.raises(end), slots.slot:
            raise end
        assert slots.in_flight == 0


def test_rejections_are_logged_once_a_second_with_their_number() -> None:
    now = 0.0
    slots = admission(0, lambda: now)
    with capture_logs() as logs:
        for moment in (0.0, 0.1, 0.9, 1.0, 1.5):
            now = moment
            slots.note_rejection()
    assert [(line["event"], line["count"]) for line in logs] == [("calls_rejected", 1), ("calls_rejected", 3)]


@pytest.fixture
async def full(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    database: Database,
) -> AsyncIterator[ScoreService]:
    """Give a service all of whose slots for awards are taken, until the end of the test."""
    service = await start_score_service(calls_max=CAPACITY)
    stubs = connect(service, backend_certificate)
    await stubs.score.AwardPoints(award_request())
    async with AsyncExitStack() as stack:
        holder = await stack.enter_async_context(await psycopg.AsyncConnection.connect(database.admin_dsn))
        await holder.execute("SELECT FROM score.board WHERE board_id = 'main' FOR UPDATE")
        calls = [stubs.score.AwardPoints(award_request()) for _ in range(CAPACITY)]

        async def are_in_flight() -> bool:
            return await service.metric("laurel_calls_under_way") == CAPACITY

        await eventually(are_in_flight)
        yield service
        await holder.rollback()
        for call in calls:
            assert (await call).result.total > 10


@pytest.fixture
def stubs(full: ScoreService, connect: Connect, backend_certificate: CertificateFiles) -> Stubs:
    return connect(full, backend_certificate)


def award(stubs: Stubs) -> Awaitable[object]:
    return stubs.score.AwardPoints(award_request())


def award_batch(stubs: Stubs) -> Awaitable[object]:
    return stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=[award_request()]))


@pytest.mark.parametrize("call", [award, award_batch])
async def test_a_call_without_a_slot_is_rejected_at_once_with_a_time_to_retry(
    stubs: Stubs, call: Callable[[Stubs], Awaitable[object]]
) -> None:
    error = await rejected(call(stubs))
    assert (error.code, error.reason, error.domain) == (
        StatusCode.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        "laurel",
    )
    assert error.retry_after == 1.0


async def test_a_rejection_is_counted_and_not_logged_call_by_call(full: ScoreService, stubs: Stubs) -> None:
    with capture_logs() as logs:
        for _ in range(20):
            await rejected(award(stubs))
    assert "call" not in {line["event"] for line in logs}
    assert sum(line.get("count", 0) for line in logs) <= 20
    labels = {
        "grpc_type": "unary",
        "grpc_service": "score_api.v1.ScoreService",
        "grpc_method": "AwardPoints",
    }
    assert await full.metric("grpc_server_handled_total", grpc_code="ResourceExhausted", **labels) == 20
    assert await full.metric("grpc_server_started_total", **labels) == 1 + CAPACITY + 20
    assert await full.metric("laurel_rejected_total", reason="OVERLOADED") == 20


async def test_health_reads_and_watches_are_answered_while_awards_have_no_slot(stubs: Stubs) -> None:
    health_stub: Any = health_pb2_grpc.HealthStub(stubs.channel)
    health = await health_stub.Check(health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    query = leaderboard_pb.GetStandingRequest(board_id="main", user_id="ada")
    assert (await stubs.leaderboard.GetStanding(query)).standing.total == 10
    wanted = leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1)
    watches = [stubs.leaderboard.WatchLeaderboard(wanted) for _ in range(2 * CAPACITY)]
    for watch in watches:
        assert (await anext(aiter(watch))).snapshot.top[0].total == 10
    # Watches take none of the slots of reads.
    assert (await stubs.leaderboard.GetStanding(query)).standing.total == 10
    for watch in watches:
        watch.cancel()
