"""Calls against a scripted server: requests, results and retries."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from conformance.server.scripted import ScriptedServer, answer, hang, reject
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import score_service_pb2 as scores
from score_api.v1 import types_pb2
from score_client import (
    AwardNotFoundError,
    AwardResult,
    ClientClosedError,
    ClientCredentials,
    InvalidRequestError,
    NotAllowedError,
    QuotaExceededError,
    ScoreClient,
    ServiceFaultError,
    Source,
    Standing,
    StandingsView,
    StandingView,
    UnavailableError,
)

AWARD_ID = UUID("6d1f9c5e-6f3b-4d52-9a43-0d2c1f8f2f11")
REQUEST_ID = UUID("0b8b2f0a-9d6e-4c39-8d0e-4a8b5f5c7a01")
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
RESULT = scores.AwardResult(
    award_id=str(AWARD_ID), revision=7, position="7-00ff", points=10, total=30, rank=2, replayed=False
)
ADA = types_pb2.Standing(user_id="ada", total=30, rank=1, reached_revision=7)
BEN = types_pb2.Standing(user_id="ben", total=20, reached_revision=5)


@pytest.fixture
async def client(server: ScriptedServer, credentials: ClientCredentials) -> AsyncIterator[ScoreClient]:
    async with ScoreClient(server.target, credentials=credentials) as client:
        yield client


@pytest.fixture
async def impatient_client(
    server: ScriptedServer, credentials: ClientCredentials
) -> AsyncIterator[ScoreClient]:
    """Return a client, connected already, that gives a server little time."""
    server.script("GetAward", answer(scores.GetAwardResponse(result=RESULT)))
    async with ScoreClient(server.target, credentials=credentials, attempt_timeout=0.3) as client:
        await read_award(client)
        server.received.clear()
        yield client


async def give(client: ScoreClient, **changes: Any) -> AwardResult:
    fields: dict[str, Any] = {"board_id": "main", "user_id": "ada", "points": 10}
    return await client.award(**(fields | {"action_type": "puzzle", "action_id": "p1"} | changes))


def read_award(client: ScoreClient) -> Awaitable[AwardResult]:
    return client.get_award(board_id="main", award_id=AWARD_ID)


async def test_an_award_is_sent_completely_and_its_result_is_typed(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=RESULT)))

    result = await give(client, award_id=AWARD_ID, request_id=REQUEST_ID)

    assert result == AwardResult(
        award_id=AWARD_ID, revision=7, position="7-00ff", points=10, total=30, rank=2, replayed=False
    )
    [call] = server.received
    assert call.request == scores.AwardPointsRequest(
        award=scores.Award(
            award_id=str(AWARD_ID),
            board_id="main",
            user_id="ada",
            points=10,
            action_type="puzzle",
            action_id="p1",
        ),
        request_id=str(REQUEST_ID),
    )


async def test_an_award_without_a_rank_has_none(server: ScriptedServer, client: ScoreClient) -> None:
    unranked = scores.AwardResult(award_id=str(AWARD_ID), revision=7, replayed=True)
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=unranked)))

    result = await give(client)

    assert (result.rank, result.replayed) == (None, True)


async def test_an_award_read_back_is_typed_too(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("GetAward", answer(scores.GetAwardResponse(result=RESULT)))

    assert (await read_award(client)).award_id == AWARD_ID
    assert server.received[0].request == scores.GetAwardRequest(board_id="main", award_id=str(AWARD_ID))


async def test_a_standing_is_read(server: ScriptedServer, client: ScoreClient) -> None:
    view = boards.GetStandingResponse(
        standing=ADA, revision=9, position="9-aa", source=types_pb2.SOURCE_RECORD
    )
    server.script("GetStanding", answer(view))

    assert await client.get_standing(board_id="main", user_id="ada", min_revision=8) == StandingView(
        standing=Standing(user_id="ada", total=30, rank=1, reached_revision=7),
        revision=9,
        position="9-aa",
        source=Source.RECORD,
    )
    assert server.received[0].request == boards.GetStandingRequest(
        board_id="main", user_id="ada", min_revision=8
    )


STANDINGS_READS: list[tuple[str, Callable[[ScoreClient], Awaitable[StandingsView]], Message, Message]] = [
    (
        "BatchGetStandings",
        lambda client: client.batch_get_standings(board_id="main", user_ids=["ada", "ben"]),
        boards.BatchGetStandingsRequest(board_id="main", user_ids=["ada", "ben"]),
        boards.BatchGetStandingsResponse(
            standings=[ADA, BEN], revision=9, position="9-aa", source=types_pb2.SOURCE_CACHE
        ),
    ),
    (
        "ListStandings",
        lambda client: client.list_standings(board_id="main", page_size=2, page_token="next", min_revision=3),
        boards.ListStandingsRequest(board_id="main", page_size=2, page_token="next", min_revision=3),
        boards.ListStandingsResponse(
            standings=[ADA, BEN], revision=9, position="9-aa", source=types_pb2.SOURCE_CACHE
        ),
    ),
    (
        "ListStandingsAround",
        lambda client: client.list_standings_around(board_id="main", user_id="ada", radius=0),
        boards.ListStandingsAroundRequest(board_id="main", user_id="ada"),
        boards.ListStandingsAroundResponse(
            standings=[ADA, BEN], revision=9, position="9-aa", source=types_pb2.SOURCE_CACHE
        ),
    ),
]


@pytest.mark.parametrize(("method", "read", "request_", "response"), STANDINGS_READS)
async def test_several_standings_are_read(
    server: ScriptedServer,
    client: ScoreClient,
    method: str,
    read: Callable[[ScoreClient], Awaitable[StandingsView]],
    request_: Message,
    response: Message,
) -> None:
    server.script(method, answer(response))

    assert await read(client) == StandingsView(
        standings=(
            Standing(user_id="ada", total=30, rank=1, reached_revision=7),
            Standing(user_id="ben", total=20, rank=None, reached_revision=5),
        ),
        revision=9,
        position="9-aa",
        source=Source.CACHE,
        next_page_token="",
    )
    assert server.received[0].request == request_


async def test_a_page_has_the_token_of_the_next_one(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("ListStandings", answer(boards.ListStandingsResponse(next_page_token="more")))

    assert (await client.list_standings(board_id="main")).next_page_token == "more"


async def test_each_award_has_new_ids_unless_they_are_given(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=RESULT)))

    await give(client)
    await give(client)

    ids = {id_ for call in server.received for id_ in (call.request.award.award_id, call.request.request_id)}
    assert len({UUID(id_) for id_ in ids}) == 4


async def test_new_ids_of_awards_are_in_the_order_of_time(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=RESULT)))
    for _ in range(10):
        await give(client)

    ids = [UUID(call.request.award.award_id) for call in server.received]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    "failure",
    [
        reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE"),
        reject(StatusCode.UNAVAILABLE),
        reject(StatusCode.CANCELLED),
        reject(StatusCode.DEADLINE_EXCEEDED),
        reject(StatusCode.RESOURCE_EXHAUSTED),
        hang,
    ],
)
async def test_an_award_without_an_answer_is_sent_again_with_the_same_ids(
    server: ScriptedServer, impatient_client: ScoreClient, failure: Any
) -> None:
    server.script("AwardPoints", failure, failure, answer(scores.AwardPointsResponse(result=RESULT)))

    await give(impatient_client)

    assert len(server.received) >= 3
    assert len({call.request.SerializeToString() for call in server.received}) == 1
    assert len({call.metadata["x-request-id"] for call in server.received}) == 1


@pytest.mark.parametrize(
    "rejection",
    [
        reject(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", retry_after=0.01),
        reject(StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED"),
    ],
)
async def test_an_award_whose_first_answer_was_lost_is_not_reported_as_rejected(
    server: ScriptedServer, impatient_client: ScoreClient, rejection: Any
) -> None:
    lost = reject(StatusCode.UNAVAILABLE)
    server.script("AwardPoints", lost, rejection, answer(scores.AwardPointsResponse(result=RESULT)))
    await give(impatient_client)

    server.script("AwardPoints", lost, rejection)
    with pytest.raises(UnavailableError):
        await give(impatient_client, timeout=0.5)


async def test_an_award_of_which_no_attempt_was_accepted_is_reported_as_rejected(
    server: ScriptedServer, impatient_client: ScoreClient
) -> None:
    full = reject(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after=0.01)
    rejection = reject(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", retry_after=0.01)
    server.script("AwardPoints", full, rejection)
    with pytest.raises(QuotaExceededError):
        await give(impatient_client)


async def test_reads_are_retried_too(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("GetAward", reject(StatusCode.UNAVAILABLE), answer(scores.GetAwardResponse(result=RESULT)))

    assert (await read_award(client)).revision == 7


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (reject(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", retry_after=0.01), QuotaExceededError),
        (reject(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"), InvalidRequestError),
        (reject(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"), NotAllowedError),
        (reject(StatusCode.NOT_FOUND, "AWARD_NOT_FOUND"), AwardNotFoundError),
        (reject(StatusCode.INTERNAL, "INTERNAL"), ServiceFaultError),
        (reject(StatusCode.UNIMPLEMENTED), ServiceFaultError),
    ],
)
async def test_permanent_failures_are_not_retried(
    server: ScriptedServer, client: ScoreClient, failure: Any, error: type[Exception]
) -> None:
    server.script("GetAward", failure)

    with pytest.raises(error):
        await read_award(client)
    assert len(server.received) == 1


async def test_a_retry_waits_as_long_as_the_service_asks(
    server: ScriptedServer, client: ScoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    busy = reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE", retry_after=0.4)
    server.script("GetAward", busy, answer(scores.GetAwardResponse(result=RESULT)))
    monkeypatch.setattr(asyncio, "sleep", note)

    await read_award(client)

    assert any(0.4 <= pause <= 0.5 for pause in pauses)


async def test_no_retry_is_begun_that_would_end_after_the_timeout(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", reject(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE", retry_after=60))

    with pytest.raises(UnavailableError) as caught:
        await give(client)

    assert (caught.value.reason, caught.value.retry_after) == ("RECORD_UNAVAILABLE", 60)
    assert len(server.received) == 1


async def test_every_attempt_carries_a_deadline_within_the_timeout(
    server: ScriptedServer, impatient_client: ScoreClient
) -> None:
    server.script("AwardPoints", hang)

    with pytest.raises(UnavailableError) as caught:
        await give(impatient_client, timeout=0.7)

    assert caught.value.reason == "DEADLINE_EXCEEDED"
    deadlines = [call.seconds_left for call in server.received]
    assert deadlines
    assert all(seconds is not None and seconds < 0.4 for seconds in deadlines)


async def test_a_stopped_server_is_unavailable(credentials: ClientCredentials) -> None:
    async with ScoreClient("dns:///localhost:1", credentials=credentials, timeout=2) as client:
        with pytest.raises(UnavailableError) as caught:
            await read_award(client)

    assert caught.value.reason == "UNAVAILABLE"
    assert "connect" in caught.value.message


async def test_cancellation_by_the_caller_is_passed_on_and_not_retried(
    server: ScriptedServer, client: ScoreClient
) -> None:
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def wait_for_cancellation(_request: Message, _context: object) -> Message:
        arrived.set()
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]
        finally:
            ended.set()

    server.script("AwardPoints", wait_for_cancellation)
    task = asyncio.create_task(give(client))
    await arrived.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await ended.wait()
    assert len(server.received) == 1


async def test_a_timeout_of_the_caller_passes_through(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("AwardPoints", hang)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await give(client)


async def test_cancelled_between_two_attempts_the_call_ends(
    server: ScriptedServer, client: ScoreClient
) -> None:
    server.script("AwardPoints", reject(StatusCode.UNAVAILABLE, retry_after=0.9))
    task = asyncio.create_task(give(client))
    await server.wait_for_calls("AwardPoints", 1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.received) == 1


async def test_the_request_id_and_the_trace_id_are_sent(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=RESULT)))

    await give(client, request_id=REQUEST_ID, trace_id=TRACE_ID)

    metadata = server.received[0].metadata
    assert metadata["x-request-id"] == str(REQUEST_ID)
    assert re.fullmatch(rf"00-{TRACE_ID}-[0-9a-f]{{16}}-01", str(metadata["traceparent"]))


async def test_without_a_trace_id_no_trace_is_named(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("AwardPoints", answer(scores.AwardPointsResponse(result=RESULT)))

    await give(client)

    assert "traceparent" not in server.received[0].metadata


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"points": 2**63}, "award.points"),
        ({"points": "10"}, "award.points"),
        ({"points": True}, "award.points"),
        ({"user_id": 5}, "award.user_id"),
        ({"user_id": "\ud800"}, "award.user_id"),
        ({"award_id": "not a uuid"}, "award.award_id"),
        ({"award_id": ""}, "award.award_id"),
        ({"request_id": "x\n"}, "request_id"),
        ({"trace_id": "0" * 32}, "trace_id"),
        ({"trace_id": "x\r\ny: z"}, "trace_id"),
        ({"trace_id": 5}, "trace_id"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "1"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
    ],
)
async def test_what_cannot_be_sent_is_an_invalid_request(
    server: ScriptedServer, client: ScoreClient, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await give(client, **changes)

    assert caught.value.reason == "INVALID_FIELD"
    assert list(caught.value.fields) == [field]
    assert server.received == []


@pytest.mark.parametrize("user_ids", ["ada", 5, [5]])
async def test_user_ids_that_are_no_collection_are_an_invalid_request(
    client: ScoreClient, user_ids: Any
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await client.batch_get_standings(board_id="main", user_ids=user_ids)

    assert list(caught.value.fields) == ["user_ids"]


async def test_arguments_are_left_for_the_service_to_judge(
    server: ScriptedServer, client: ScoreClient
) -> None:
    rejection = reject(
        StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields={"award.points": "must be positive"}
    )
    server.script("AwardPoints", rejection)

    with pytest.raises(InvalidRequestError) as caught:
        await give(client, points=-1)

    assert caught.value.fields == {"award.points": "must be positive"}


@pytest.mark.parametrize("response", [b"\xff", scores.AwardPointsResponse()])
async def test_a_malformed_answer_is_a_fault_of_the_service(
    server: ScriptedServer, client: ScoreClient, response: Message | bytes
) -> None:
    server.script("AwardPoints", answer(response))

    with pytest.raises(ServiceFaultError) as caught:
        await give(client)
    assert caught.value.reason == "MALFORMED_ANSWER"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e6])
def test_a_client_wants_sensible_timeouts(credentials: ClientCredentials, seconds: float) -> None:
    with pytest.raises(InvalidRequestError):
        ScoreClient("dns:///localhost:1", credentials=credentials, stall_timeout=seconds)


async def test_many_calls_share_one_client(server: ScriptedServer, client: ScoreClient) -> None:
    server.script("GetAward", answer(scores.GetAwardResponse(result=RESULT)))

    await asyncio.gather(*(read_award(client) for _ in range(100)))

    assert len(server.received) == 100


async def test_a_call_on_a_closed_client_fails(credentials: ClientCredentials) -> None:
    client = ScoreClient("dns:///localhost:1", credentials=credentials)
    with pytest.raises(ClientClosedError):
        await read_award(client)

    async with client:
        pass

    with pytest.raises(ClientClosedError):
        await read_award(client)
    with pytest.raises(ClientClosedError):
        await anext(client.watch(board_id="main"))


async def test_a_call_under_way_ends_when_the_client_is_closed(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("AwardPoints", hang)
    async with ScoreClient(server.target, credentials=credentials) as client:
        call = asyncio.create_task(give(client))
        await server.wait_for_calls("AwardPoints", 1)

    with pytest.raises(ClientClosedError):
        await call


async def test_a_client_forgotten_open_warns(credentials: ClientCredentials) -> None:
    clients = [await ScoreClient("dns:///localhost:1", credentials=credentials).__aenter__()]

    with pytest.warns(ResourceWarning, match="dns:///localhost:1"):
        clients.clear()


async def test_the_repr_of_a_client_names_its_target_only(credentials: ClientCredentials) -> None:
    client = ScoreClient("dns:///localhost:1", credentials=credentials)

    assert repr(client) == "<ScoreClient 'dns:///localhost:1' closed>"


async def test_two_clients_in_one_process_do_not_disturb_each_other(
    server: ScriptedServer, client: ScoreClient, credentials: ClientCredentials
) -> None:
    server.script("GetAward", answer(scores.GetAwardResponse(result=RESULT)))
    async with ScoreClient(server.target, credentials=credentials) as other:
        await read_award(other)

    assert (await read_award(client)).revision == 7
