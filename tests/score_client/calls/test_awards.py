"""Awards asked for at the same time share calls, against a scripted server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from conformance.server.scripted import ScriptedServer, hang, reject
from score_api.v1 import score_service_pb2 as scores
from score_client import (
    AwardConflictError,
    AwardResult,
    ClientCredentials,
    InvalidRequestError,
    QuotaExceededError,
    ScoreClient,
    ScoreClientError,
    UnavailableError,
)
from score_client.calls import awards as awards_module
from score_client.calls.awards import ALONE_MAX, BATCH_MAX, BOARDS_MAX, CALLS_MAX, CROWD
from service_runtime.batching import crowd

Step = Callable[[Message, Any], Awaitable[Message]]
FULL = reject(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after=3.0)


@pytest.fixture
async def client(server: ScriptedServer, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(server.target, credentials=credentials, attempt_timeout=1) as client:
        yield client


@pytest.fixture
async def patient_client(
    server: ScriptedServer, credentials: ClientCredentials
) -> AsyncIterator[ScoreClient]:
    """Give a client for hundreds of awards at once, which take a while on a busy machine."""
    async with ScoreClient(server.target, credentials=credentials, timeout=60, attempt_timeout=60) as client:
        yield client


def award(client: ScoreClient, award_id: UUID | None = None, **changes: Any) -> Awaitable[AwardResult]:
    fields: dict[str, Any] = {"board_id": "main", "user_id": "ada", "points": 10}
    fields |= {"action_type": "puzzle", "action_id": "p1", "award_id": award_id or uuid4()}
    return client.award(**(fields | changes))


def result_of(request: scores.AwardPointsRequest) -> scores.AwardResult:
    return scores.AwardResult(award_id=request.award.award_id, points=request.award.points, total=1)


async def answer_one(request: Any, _context: Any) -> Message:
    return scores.AwardPointsResponse(result=result_of(request))


async def answer_many(request: Any, _context: Any) -> Message:
    items = [scores.BatchAwardPointsItem(result=result_of(asked)) for asked in request.requests]
    return scores.BatchAwardPointsResponse(items=items)


def answer_errors(**errors: scores.AwardError) -> Step:
    """Answer each award of a batch with the error of its user, or else with its result."""

    async def step(request: Any, _context: Any) -> Message:
        items = []
        for asked in request.requests:
            error = errors.get(asked.award.user_id)
            outcome_fields = {"error": error} if error else {"result": result_of(asked)}
            items.append(scores.BatchAwardPointsItem(**outcome_fields))
        return scores.BatchAwardPointsResponse(items=items)

    return step


def sizes(server: ScriptedServer) -> list[int]:
    return [len(call.request.requests) for call in server.calls("BatchAwardPoints")]


async def test_award_that_is_alone_goes_by_itself(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("AwardPoints", answer_one)

    for _ in range(3):
        await award(client)

    assert len(server.calls("AwardPoints")) == 3
    assert sizes(server) == []


async def test_awards_at_the_same_time_share_calls_and_each_gets_its_own_result(
    server: ScriptedServer, patient_client: ScoreClient
) -> None:
    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", answer_many)
    ids = [uuid4() for _ in range(300)]

    results = await asyncio.gather(*(award(patient_client, award_id) for award_id in ids))

    assert [result.award_id for result in results] == ids
    assert len(server.received) < 20
    assert sum(sizes(server)) + len(server.calls("AwardPoints")) == 300


@dataclass
class Gate:
    """Keeps a server from answering its first call, until it is opened."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer_first(self, request: Any, context: Any) -> Message:
        await self.is_open.wait()
        return await answer_one(request, context)


@pytest.fixture
def gate(server: ScriptedServer) -> Gate:
    """Script a server that keeps the first award waiting."""
    gate = Gate()
    server.script("AwardPoints", gate.answer_first, answer_one)
    server.script("BatchAwardPoints", answer_many)
    return gate


async def begin_award(server: ScriptedServer, client: ScoreClient) -> asyncio.Task[AwardResult]:
    """Ask for an award, whose call is under way."""
    task = asyncio.ensure_future(award(client))
    await server.wait_for_calls("AwardPoints", 1)
    return task


async def test_awards_share_the_call_after_the_one_under_way(
    server: ScriptedServer, patient_client: ScoreClient, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awards_module, "LONG_CALL", 3600.0)
    first = await begin_award(server, patient_client)
    later = [asyncio.ensure_future(award(patient_client)) for _ in range(CROWD - 1)]
    await patient_client.ping()
    assert server.calls("BatchAwardPoints") == []
    gate.is_open.set()
    await asyncio.gather(first, *later)

    assert sizes(server) == [CROWD - 1]


async def test_after_a_crowd_an_award_waits_for_others_on_their_way(
    server: ScriptedServer, patient_client: ScoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script("BatchAwardPoints", answer_many)
    await asyncio.gather(*(award(patient_client) for _ in range(8)))
    monkeypatch.setattr(crowd, "_NAP_SECONDS", 0.2)
    first = asyncio.ensure_future(award(patient_client))
    for _ in range(10):
        await asyncio.sleep(0)  # Its call would begin now.
    await asyncio.gather(first, award(patient_client))

    assert sizes(server) == [8, 2]


@pytest.mark.parametrize(("long_call", "count"), [(3600.0, CROWD), (0.01, 2)])
async def test_awards_go_beside_a_call_where_they_are_many_or_it_takes_long(
    server: ScriptedServer,
    patient_client: ScoreClient,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    long_call: float,
    count: int,
) -> None:
    monkeypatch.setattr(awards_module, "LONG_CALL", long_call)
    first = await begin_award(server, patient_client)
    later = await asyncio.gather(*(award(patient_client) for _ in range(count)))

    assert len(later) == count
    assert not first.done()
    gate.is_open.set()
    await first


async def test_call_holds_no_more_awards_and_boards_than_the_service_takes(
    server: ScriptedServer, patient_client: ScoreClient
) -> None:
    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", answer_many)

    await asyncio.gather(*(award(patient_client) for _ in range(2 * BATCH_MAX)))
    await asyncio.gather(*(award(patient_client, board_id=f"board{i}") for i in range(3 * BOARDS_MAX)))

    assert max(sizes(server)) <= BATCH_MAX
    for call in server.calls("BatchAwardPoints"):
        assert len({asked.award.board_id for asked in call.request.requests}) <= BOARDS_MAX


async def test_a_failure_of_one_award_reaches_its_caller_only(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", answer_one)
    invalid = scores.AwardError(code=3, reason="INVALID_FIELD", message="x", fields={"award.points": "no"})
    conflict = scores.AwardError(code=6, reason="AWARD_CONFLICT", message="taken")
    quota = scores.AwardError(code=8, reason="QUOTA_EXCEEDED", message="full", retry_after_seconds=2.5)
    server.script("BatchAwardPoints", answer_errors(bob=invalid, cyd=conflict, dan=quota))
    users = ["ada"] * CALLS_MAX + ["ada", "bob", "cyd", "dan"]

    results = await asyncio.gather(*(award(client, user_id=user) for user in users), return_exceptions=True)

    *fine, bob, cyd, dan = results
    assert all(isinstance(result, AwardResult) for result in fine)
    assert isinstance(bob, InvalidRequestError)
    assert bob.fields == {"award.points": "no"}
    assert isinstance(cyd, AwardConflictError)
    assert isinstance(dan, QuotaExceededError)
    assert dan.retry_after == 2.5


async def test_failed_call_is_retried_with_the_same_ids(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", reject(StatusCode.UNAVAILABLE), answer_many)
    ids = [uuid4() for _ in range(20)]

    results = await asyncio.gather(*(award(client, award_id) for award_id in ids))

    assert [result.award_id for result in results] == ids
    first = server.calls("BatchAwardPoints")[0].request.requests
    later = [asked for call in server.calls("BatchAwardPoints")[1:] for asked in call.request.requests] + [
        call.request for call in server.calls("AwardPoints")
    ]
    again = {asked.award.award_id: asked.request_id for asked in later}
    assert {asked.award.award_id: asked.request_id for asked in first}.items() <= again.items()


@pytest.mark.parametrize(
    "rejection", [reject(StatusCode.UNIMPLEMENTED), reject(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")]
)
async def test_awards_go_one_by_one_where_batches_are_rejected(
    server: ScriptedServer, client: ScoreClient, rejection: Step
) -> None:
    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", rejection)
    ids = [uuid4() for _ in range(20)]

    results = await asyncio.gather(*(award(client, award_id) for award_id in ids))
    await asyncio.gather(*(award(client) for _ in range(20)))

    assert [result.award_id for result in results] == ids
    assert len(sizes(server)) <= CALLS_MAX
    # On a slow machine some are sent again.
    assert len({call.request.award.award_id for call in server.calls("AwardPoints")}) == 40


async def test_single_awards_are_bounded_in_number_too(
    server: ScriptedServer, patient_client: ScoreClient
) -> None:
    under_way, most = 0, 0

    async def answer_and_count(request: Any, context: Any) -> Message:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await answer_one(request, context)

    server.script("AwardPoints", answer_and_count)
    server.script("BatchAwardPoints", reject(StatusCode.UNIMPLEMENTED))

    results = await asyncio.gather(*(award(patient_client) for _ in range(400)))

    assert len(results) == 400
    assert most <= CALLS_MAX * ALONE_MAX


async def test_an_overloaded_server_gets_no_awards_for_a_while(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("AwardPoints", FULL)
    server.script("BatchAwardPoints", FULL)

    async with ScoreClient(server.target, credentials=credentials, timeout=1.0) as client:
        results = await asyncio.gather(*(award(client) for _ in range(3 * BATCH_MAX)), return_exceptions=True)

    assert [type(result) for result in results] == [UnavailableError] * (3 * BATCH_MAX)
    # Three calls would have taken them all; those without a turn within the time have asked nothing.
    assert len(server.received) <= 2 * CALLS_MAX


async def test_an_overloaded_server_does_not_delay_awards_to_others(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("AwardPoints", *(2 * [FULL, answer_one]))
    async with ScoreClient(server.target, credentials=credentials, timeout=1.4) as client:
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await award(client)
            # Left alone, as it asked, it would be asked after this one's time.
            await award(client)


async def test_awards_rejected_by_an_overloaded_server_are_made_once_it_recovers(
    server: ScriptedServer, client: ScoreClient
) -> None:
    full = reject(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after=0.1)
    server.script("AwardPoints", full, answer_one)
    server.script("BatchAwardPoints", full, answer_many)

    results = await asyncio.gather(*(award(client) for _ in range(50)))

    assert all(isinstance(result, AwardResult) for result in results)


async def test_a_client_that_pauses_can_be_closed(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("AwardPoints", FULL)
    client = ScoreClient(server.target, credentials=credentials, timeout=0.5)
    async with client:
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await award(client)
        assert client._awards._calls
    assert not client._awards._calls


async def test_cancelled_caller_does_not_affect_others(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", answer_many)
    calls = [asyncio.ensure_future(award(client)) for _ in range(30)]
    await asyncio.sleep(0)

    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert all(isinstance(result, AwardResult) for result in results[1::2])


async def test_no_caller_waits_for_ever_for_a_server_that_does_not_answer(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", hang)
    server.script("BatchAwardPoints", hang)

    results = await asyncio.gather(*(award(client, timeout=0.5) for _ in range(10)), return_exceptions=True)

    assert [type(result) for result in results] == [UnavailableError] * 10


async def test_missing_items_of_an_answer_are_a_fault_of_the_service(
    server: ScriptedServer, client: ScoreClient
) -> None:
    async def answer_half(request: Any, _context: Any) -> Message:
        whole: Any = await answer_many(request, _context)
        return scores.BatchAwardPointsResponse(items=whole.items[: len(whole.items) // 2])

    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", answer_half)

    results = await asyncio.gather(*(award(client) for _ in range(10)), return_exceptions=True)

    faults = [result for result in results if isinstance(result, ScoreClientError)]
    assert {fault.reason for fault in faults} == {"MALFORMED_ANSWER"}
    assert 0 < len(faults) < 10
