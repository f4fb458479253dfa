"""A stop loses no call that had come in, also of callers who never ask after the service's health."""

import asyncio
from collections import Counter
from operator import attrgetter
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from tests.fixtures.ledgers.corrections import apply_request, plan_request
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import (
    Connect,
    ScoreService,
    StartScoreService,
    award_request,
    rejected,
)

from local_stack.certificates import CertificateFiles
from score_api.v1 import leaderboard_service_pb2 as leaderboard_pb
from score_api.v1 import score_service_pb2 as score_pb

CALLERS = 48


async def test_callers_who_call_without_a_pause_are_answered_until_the_connection_ends(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = await start_score_service(drain_seconds=0)
    in_flight = service.running.dispatcher.in_flight

    async def all_are_held() -> bool:
        return in_flight.count == CALLERS

    # How long that takes depends on the machine.
    monkeypatch.setattr(in_flight, "quiet", lambda: eventually(all_are_held))
    monkeypatch.setattr("score_service.process.drain._GATHER_SECONDS", 60)
    stubs = connect(service, backend_certificate)
    await stubs.score.AwardPoints(award_request())
    ends = Counter[StatusCode]()

    async def call() -> None:
        request = leaderboard_pb.GetStandingRequest(board_id="main", user_id="ada")
        try:
            while True:
                await stubs.leaderboard.GetStanding(request)
                ends[StatusCode.OK] += 1
        except grpc.aio.AioRpcError as error:
            ends[error.code()] += 1

    async with asyncio.timeout(90), asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(call())

        async def is_busy() -> bool:
            return ends[StatusCode.OK] > CALLERS

        await eventually(is_busy)
        await service.running.stop(asyncio.Event())

    # Each was rejected its next call on a new connection, and none was cut off in one that had begun.
    assert ends == {StatusCode.OK: ends[StatusCode.OK], StatusCode.UNAVAILABLE: CALLERS}


async def test_a_call_under_way_is_answered_after_the_connection_was_told_to_end(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Otherwise its caller may send the next one on this connection, where it would be dropped.
    service = await start_score_service(drain_seconds=0)
    running, work, order = service.running, asyncio.Event(), list[str]()
    award, stop = running.parts.scoring.award, running.server.stop

    async def award_late(*arguments: Any) -> Any:
        await work.wait()
        return await award(*arguments)

    async def await_answer() -> None:
        work.set()
        await asyncio.wait([call], timeout=0.5)

    async def note_stop(grace: float | None) -> None:
        order.append("told")
        await stop(grace)

    monkeypatch.setattr(running.parts.scoring, "award", award_late)
    monkeypatch.setattr(running.dispatcher.in_flight, "quiet", await_answer)
    monkeypatch.setattr(running.server, "stop", note_stop)
    call = asyncio.ensure_future(connect(service, backend_certificate).score.AwardPoints(award_request()))
    call.add_done_callback(lambda _: order.append("answered"))
    await eventually(has_calls(service))
    async with asyncio.timeout(20):
        await running.stop(asyncio.Event())
        assert (await call).result.total == 10
    assert order.index("told") < order.index("answered")


async def test_calls_that_never_cease_to_come_do_not_hold_up_the_stop(
    start_score_service: StartScoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start_score_service(drain_seconds=0)
    monkeypatch.setattr("score_service.process.drain._GATHER_SECONDS", 0.05)
    monkeypatch.setattr(service.running.dispatcher.in_flight, "quiet", asyncio.Event().wait)
    async with asyncio.timeout(20):
        await service.running.stop(asyncio.Event())


@pytest.mark.parametrize("step", ["parts.scoring.finish", "dispatcher.in_flight.idle"])
async def test_work_that_never_ends_does_not_hold_up_the_stop(
    start_score_service: StartScoreService, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    service = await start_score_service(drain_seconds=0)
    part, _, name = step.rpartition(".")
    monkeypatch.setattr("score_service.process.drain._FINISH_SECONDS", 0.1)
    monkeypatch.setattr(attrgetter(part)(service.running), name, asyncio.Event().wait)
    async with asyncio.timeout(20):
        await service.running.stop(asyncio.Event())


async def test_a_call_that_outlives_the_stop_is_ended(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = await start_score_service(drain_seconds=0, stop_seconds=0.1)
    monkeypatch.setattr(service.running.parts.scoring, "award", never)
    call = asyncio.create_task(
        rejected(connect(service, backend_certificate).score.AwardPoints(award_request()))
    )
    await eventually(has_calls(service))
    async with asyncio.timeout(20):
        await service.running.stop(asyncio.Event())
        assert (await call).code in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}


async def test_a_watch_ends_with_a_time_to_retry(
    start_score_service: StartScoreService, connect: Connect, backend_certificate: CertificateFiles
) -> None:
    service = await start_score_service(drain_seconds=0)
    stubs = connect(service, backend_certificate)
    await stubs.score.AwardPoints(award_request())
    watch = stubs.leaderboard.WatchLeaderboard(
        leaderboard_pb.WatchLeaderboardRequest(board_id="main", top_n=1)
    )
    await watch.read()
    stopping = asyncio.create_task(service.running.stop(asyncio.Event()))
    error = await rejected(watch.read())
    await stopping

    assert (error.code, error.reason, error.retry_after) == (
        StatusCode.UNAVAILABLE,
        "SHUTTING_DOWN",
        0,
    )


async def never(_award: object) -> Any:
    await asyncio.Event().wait()


def has_calls(service: ScoreService) -> Any:
    async def condition() -> bool:
        admissions = service.running.dispatcher.admissions.values()
        return any(admission.in_flight for admission in admissions)

    return condition


async def test_a_plan_that_is_applied_ends_with_its_page_and_its_caller_is_told_how_far_it_came(
    start_score_service: StartScoreService,
    connect: Connect,
    backend_certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = await start_score_service(drain_seconds=0)
    stubs, plans = connect(service, backend_certificate), service.running.parts.plans
    requests = [award_request(points=1) for _ in range(600)]
    await stubs.score.BatchAwardPoints(score_pb.BatchAwardPointsRequest(requests=requests))
    token = (await stubs.correction.ReverseAwards(plan_request())).plan_token
    begun, stopped = asyncio.Event(), asyncio.Event()
    reverse, stop = plans._reverse, plans.stop

    async def reverse_late(*arguments: Any) -> Any:
        begun.set()
        await stopped.wait()
        return await reverse(*arguments)

    def stop_now() -> None:
        stop()
        stopped.set()

    monkeypatch.setattr(plans, "_reverse", reverse_late)
    monkeypatch.setattr(plans, "stop", stop_now)
    applying = asyncio.ensure_future(stubs.correction.ReverseAwards(apply_request(token)))
    await begun.wait()
    await service.running.stop(asyncio.Event())

    answer = await applying
    assert (answer.awards, answer.reversed) == (600, 250)
