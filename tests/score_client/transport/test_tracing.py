"""The spans of a client, against a scripted server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id
from tests.fixtures.contract import declared_methods

from conformance.server.scripted import ScriptedServer, answer, play, reject
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import score_service_pb2 as scores
from score_client import AwardNotFoundError, AwardResult, ClientCredentials, ScoreClient
from score_client.transport import tracing

ALONE, TOGETHER = "score_api.v1.ScoreService/AwardPoints", "score_api.v1.ScoreService/BatchAwardPoints"


@pytest.fixture
async def client(
    spans: InMemorySpanExporter, server: ScriptedServer, credentials: ClientCredentials
) -> AsyncIterator[ScoreClient]:
    """Return a client that is made after tracing was set up."""
    async with ScoreClient(server.target, credentials=credentials) as client:
        yield client


def award(client: ScoreClient, **changes: Any) -> Awaitable[AwardResult]:
    fields: dict[str, Any] = {"board_id": "main", "user_id": "ada", "points": 10}
    return client.award(**(fields | {"action_type": "puzzle", "action_id": "p1"} | changes))


def id_of(span: ReadableSpan) -> int:
    return context_of(span).span_id


def context_of(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def links_of(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def traceparent(span: ReadableSpan) -> str:
    context = context_of(span)
    flags = f"{context.trace_flags:02x}"
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{flags}"


async def answer_one(request: Any, _context: Any) -> Message:
    return scores.AwardPointsResponse(result=scores.AwardResult(award_id=request.award.award_id))


async def answer_many(request: Any, _context: Any) -> Message:
    results = [scores.AwardResult(award_id=asked.award.award_id) for asked in request.requests]
    return scores.BatchAwardPointsResponse(items=[scores.BatchAwardPointsItem(result=r) for r in results])


async def test_each_attempt_of_an_award_has_its_own_span_that_is_propagated(
    server: ScriptedServer, client: ScoreClient, spans: InMemorySpanExporter
) -> None:
    server.script("AwardPoints", reject(StatusCode.UNAVAILABLE), answer_one)

    with trace.get_tracer("tests").start_as_current_span("request") as request:
        await award(client)

    (whole,), (failed, done) = named(spans, "award"), named(spans, ALONE)
    assert parent_of(whole) == request.get_span_context().span_id
    assert {parent_of(failed), parent_of(done)} == {id_of(whole)}
    assert failed.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": ALONE,
        "rpc.response.status_code": "UNAVAILABLE",
        "error.type": "UNAVAILABLE",
    }
    assert done.attributes is not None
    assert done.attributes["rpc.response.status_code"] == "OK"
    assert [span.status.status_code.name for span in (whole, failed, done)] == ["UNSET", "ERROR", "UNSET"]
    assert not any(span.events or span.status.description for span in (whole, failed, done))
    calls = server.calls("AwardPoints")
    assert [call.metadata["traceparent"] for call in calls] == [traceparent(failed), traceparent(done)]
    assert {call.request.trace_id for call in calls} == {format_trace_id(context_of(whole).trace_id)}


async def test_awards_that_share_a_call_lead_to_its_span_and_back(
    server: ScriptedServer, client: ScoreClient, spans: InMemorySpanExporter
) -> None:
    server.script("AwardPoints", answer_one)
    server.script("BatchAwardPoints", answer_many)

    await asyncio.gather(*(award(client) for _ in range(9)))

    awards = {id_of(span): span for span in named(spans, "award")}
    assert len({context_of(span).trace_id for span in awards.values()}) == 9
    shared, alone = named(spans, TOGETHER), named(spans, ALONE)
    sent = [link for call in shared for link in links_of(call)] + [parent_of(call) for call in alone]
    assert sorted(sent) == sorted(awards)
    for call in shared:
        assert parent_of(call) == links_of(call)[0]
        for link in links_of(call):
            assert links_of(awards[link]) == [id_of(call)]
    assert not any(call.links for call in alone)
    propagated = {call.metadata["traceparent"] for call in server.calls("BatchAwardPoints")}
    assert propagated == {traceparent(call) for call in shared}
    asked = [request for call in server.calls("BatchAwardPoints") for request in call.request.requests]
    assert len({request.trace_id for request in asked}) == len(asked) > 1


async def test_the_decision_not_to_sample_is_propagated_with_the_trace(
    server: ScriptedServer, client: ScoreClient, spans: InMemorySpanExporter
) -> None:
    server.script("AwardPoints", answer_one)
    unsampled = trace.SpanContext(trace_id=7 << 64, span_id=9, is_remote=True)

    with trace.use_span(trace.NonRecordingSpan(unsampled)):
        await award(client)

    assert not spans.get_finished_spans()
    (call,) = server.calls("AwardPoints")
    assert str(call.metadata["traceparent"]).startswith(f"00-{format_trace_id(7 << 64)}-")
    assert str(call.metadata["traceparent"]).endswith("-00")
    assert call.request.trace_id == format_trace_id(7 << 64)


async def test_a_failed_read_has_a_span_with_the_reason_and_without_users(
    server: ScriptedServer, client: ScoreClient, spans: InMemorySpanExporter
) -> None:
    server.script("GetAward", reject(StatusCode.NOT_FOUND, "AWARD_NOT_FOUND"))

    with pytest.raises(AwardNotFoundError):
        await client.get_award(board_id="main", award_id=uuid4())
    await client.ping()

    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind.name) == ("score_api.v1.ScoreService/GetAward", "CLIENT")
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "score_api.v1.ScoreService/GetAward",
        "rpc.response.status_code": "NOT_FOUND",
        "error.type": "AWARD_NOT_FOUND",
    }
    (call,) = server.calls("GetAward")
    assert call.metadata["traceparent"] == traceparent(span)


@pytest.mark.parametrize("method", declared_methods())
def test_a_call_of_every_method_has_a_span_of_its_name(method: str, spans: InMemorySpanExporter) -> None:
    request = GetMessageClass(declared_methods()[method].input_type)()

    with tracing.call(tracing.find_tracer(), request):
        pass

    (span,) = spans.get_finished_spans()
    assert span.name == method


async def test_a_watch_has_no_span_but_propagates_the_current_one(
    server: ScriptedServer, client: ScoreClient, spans: InMemorySpanExporter
) -> None:
    snapshot = boards.Snapshot()
    server.script(
        "WatchLeaderboard", play(boards.WatchLeaderboardResponse(position="0-00", snapshot=snapshot))
    )

    with trace.get_tracer("tests").start_as_current_span("request"):
        events = client.watch(board_id="main")
        await anext(events)
    await events.aclose()

    (request,) = spans.get_finished_spans()
    (call,) = server.calls("WatchLeaderboard")
    assert call.metadata["traceparent"] == traceparent(request)


async def test_without_tracing_a_given_trace_is_propagated_and_none_is_created(
    server: ScriptedServer, credentials: ClientCredentials
) -> None:
    server.script("AwardPoints", answer_one)
    result = scores.AwardResult(award_id=str(uuid4()))
    server.script("GetAward", answer(scores.GetAwardResponse(result=result)))
    async with ScoreClient(server.target, credentials=credentials) as client:
        await award(client, trace_id="1f" * 16)
        await award(client)
        await client.get_award(board_id="main", award_id=uuid4())

    given, none = server.calls("AwardPoints")
    (read,) = server.calls("GetAward")
    assert str(given.metadata["traceparent"]).startswith(f"00-{'1f' * 16}-")
    assert given.request.trace_id == "1f" * 16
    assert "traceparent" not in none.metadata | read.metadata
    assert not none.request.trace_id
