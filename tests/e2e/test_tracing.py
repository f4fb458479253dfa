"""Traces and logs of the whole stack, each service a process of its own, by real OTLP."""

import asyncio
import json
import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
from tests.fixtures.clients.browser import edge, join, receive_event
from tests.fixtures.network.collector import Collector, Exported
from tests.fixtures.servers.postgres import Database
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.score_service import award_request, credentials_of
from tests.fixtures.services.stack import Stack, target_of

from local_stack.certificates import CertificateFiles
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub

if TYPE_CHECKING:  # Only the type stubs have this.
    from score_api.v1.score_service_pb2_grpc import ScoreServiceAsyncStub

IMPORTS_LISTED: dict[str, Any] = {"PYTHONPROFILEIMPORTTIME": "1"}
TRACING_MODULES = {"opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
AWARD = "score_api.v1.ScoreService/AwardPoints"
WARNED_OF = {"OTEL_TRACES_SAMPLER": "unheard_of"}
"""The SDK warns of it before it has a provider, and goes on with the default."""
SPOILT = {"baggage": "theirs=kept-out,planted,planted", "tracestate": "planted,planted"}
"""Headers that the API would warn of, word for word, as often as they are sent."""


def lines(service: RunningService, trace_id: str) -> list[dict[str, Any]]:
    """Read what a service has logged of a trace."""
    logged = [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]
    return [line for line in logged if line.get("trace_id") == trace_id]


async def ledger_traces(database: Database, user_id: str) -> list[str]:
    """Read the traces of a user's awards from the ledger."""
    async with await psycopg.AsyncConnection.connect(database.score_runtime_dsn) as connection:
        rows = await connection.execute(
            "SELECT trace_id FROM score.award WHERE user_id = %s ORDER BY revision", [user_id]
        )
        return [trace_id for (trace_id,) in await rows.fetchall()]


async def test_a_completion_is_one_trace_from_the_request_to_both_stores_and_names_it_everywhere(
    stack: Stack, database: Database, collector: Collector
) -> None:
    service = await stack.start_score_service(**collector.environment, **WARNED_OF)
    gateway = await stack.start_gateway(target_of(service), **collector.http_environment, **WARNED_OF)
    async with edge(gateway.addresses["http"]) as http:
        ada = await join(http, "ada-in-no-span")
        tokens = [await ada.start("quick") for _ in range(3)]
        trace_id, sampled_out = secrets.token_hex(16), secrets.token_hex(16)
        client_span = secrets.token_hex(8)
        parents = [f"00-{trace_id}-{client_span}-01", f"00-{sampled_out}-{client_span}-00", "not well formed"]
        for token, parent in zip(tokens, parents, strict=True):
            done = await ada.complete(token, "yes", traceparent=parent, **SPOILT)
            assert done.status_code == 200, done.text
        async with ada.socket() as socket, aclosing(ada.events()) as events:
            await receive_event(socket, "leaderboard:initial")
            await anext(events)
            ended = {"GET /api/v1/leaderboard/ws", "GET /api/v1/leaderboard/events"}
            # While both go on.
            await collector.wait_for(lambda: ended <= {span.name for span in collector.spans})
            await collector.wait_for(lambda: len(collector.trace(trace_id)) >= 10)

    # A trace that leads from the client's span down to both stores.
    found = {(span.service, span.name, span.kind): span for span in collector.trace(trace_id)}
    chain = [
        ("action-gateway", "POST /api/v1/actions/complete", "SERVER"),
        ("action-gateway", "award", "INTERNAL"),
        ("action-gateway", AWARD, "CLIENT"),
        ("score-service", AWARD, "SERVER"),
        ("score-service", "batch", "INTERNAL"),
    ]
    parent = client_span
    for step in chain:
        assert found[step].parent_id == parent, step
        parent = found[step].span_id
    beside = {
        ("action-gateway", "count complete", "CLIENT"): chain[0],
        ("action-gateway", "get_answers", "CLIENT"): chain[0],
        ("action-gateway", "reserve_attempt", "CLIENT"): chain[0],
        ("score-service", "record_awards", "CLIENT"): chain[4],
        ("score-service", "apply_changes", "CLIENT"): chain[4],
    }
    assert {step: found[step].parent_id for step in beside} == {
        step: found[above].span_id for step, above in beside.items()
    }
    assert set(found) == {*chain, *beside}
    served, batch = found[chain[3]], found[chain[4]]
    assert served.links == {batch.span_id}
    assert batch.links == {served.span_id}
    assert found[chain[0]].attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/actions/complete",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert served.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": AWARD,
        "rpc.response.status_code": "OK",
    }

    # The same ids in the lines of both services, and on the rows of the ledger.
    (asked,) = lines(gateway, trace_id)
    (answered,) = lines(service, trace_id)
    assert (asked["route"], asked["span_id"]) == ("/api/v1/actions/complete", found[chain[0]].span_id)
    assert (answered["grpc.method"], answered["span_id"]) == (AWARD, served.span_id)
    first, unsampled, made = await ledger_traces(database, ada.user_id)
    assert (first, unsampled) == (trace_id, sampled_out)
    assert {span.name for span in collector.trace(made)} >= {"batch", "award"}
    assert collector.trace(sampled_out) == []
    for process in (gateway, service):
        (line,) = lines(process, sampled_out)
        assert len(line["span_id"]) == 16

    # Nothing of what was asked or answered, and nothing that goes on for as long as a socket.
    exported = str(collector.spans)
    assert not any(
        word in exported for word in (ada.user_id, "in-no-span", "quick", "yes", "main", "kept-out")
    )
    assert not [span for span in collector.spans if "Health" in span.name or "health" in span.name]
    assert "planted" not in gateway.log()
    assert [service.stop(), gateway.stop()] == [0, 0]


async def test_batches_lead_to_the_calls_of_all_their_awards_and_each_call_to_its_batch(
    stack: Stack, collector: Collector, backend_certificate: CertificateFiles
) -> None:
    named_otherwise = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=ranks"}
    service = await stack.start_score_service(**collector.environment, **named_otherwise)
    parents = {secrets.token_hex(16): secrets.token_hex(8) for _ in range(60)}
    async with grpc.aio.secure_channel(target_of(service), credentials_of(backend_certificate)) as channel:
        stub: ScoreServiceAsyncStub = ScoreServiceStub(channel)
        await asyncio.gather(
            *(
                stub.AwardPoints(
                    award_request(), metadata=(("traceparent", f"00-{trace}-{span}-01"), *SPOILT.items())
                )
                for trace, span in parents.items()
            )
        )

    def named(name: str) -> list[Exported]:
        return [span for span in collector.spans if span.name == name]

    await collector.wait_for(lambda: len(named(AWARD)) == len(parents))
    await collector.wait_for(
        lambda: sum(batch.attributes["laurel.batch.awards"] for batch in named("batch")) == len(parents)
    )
    calls, batches = {span.span_id: span for span in named(AWARD)}, named("batch")
    assert {span.trace_id: span.parent_id for span in calls.values()} == parents
    assert {span.service for span in collector.spans} == {"ranks"}
    assert "planted" not in service.log()
    assert max(len(batch.links) for batch in batches) > 1
    for batch in batches:
        assert len(batch.links) == batch.attributes["laurel.batch.awards"]
        assert batch.parent_id in batch.links
        assert {calls[link].links for link in batch.links} == {frozenset({batch.span_id})}


async def test_an_unavailable_collector_delays_nothing(stack: Stack, collector: Collector) -> None:
    collector.answers.clear()
    # A process that waited for the exporter to give up would be killed by the end of the test.
    patient = {**collector.environment, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    service = await stack.start_score_service(**patient)
    nowhere = {**patient, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    gateway = await stack.start_gateway(target_of(service), **nowhere, **IMPORTS_LISTED)
    async with edge(gateway.addresses["http"]) as http:
        ada = await join(http, "ada")
        for _ in range(5):
            done = await ada.complete(await ada.start("quick"), "yes")
            assert done.status_code == 200, done.text
        await collector.wait_for(lambda: "encountered while exporting traces" in gateway.log())
    assert set(gateway.log().split()) > TRACING_MODULES
    assert [gateway.stop(), service.stop()] == [0, 0]
    assert collector.spans == []


async def test_without_tracing_the_sdk_is_not_imported(
    stack: Stack, database: Database, collector: Collector
) -> None:
    off = {**collector.environment, "OTEL_SDK_DISABLED": "true"}
    service = await stack.start_score_service(**off, **IMPORTS_LISTED)
    gateway = await stack.start_gateway(target_of(service), **IMPORTS_LISTED)
    trace_id = secrets.token_hex(16)
    async with edge(gateway.addresses["http"]) as http:
        ada = await join(http, "ada")
        done = await ada.complete(
            await ada.start("quick"), "yes", traceparent=f"00-{trace_id}-{secrets.token_hex(8)}-01"
        )
        assert done.status_code == 200, done.text
    assert await ledger_traces(database, ada.user_id) == [trace_id]
    for process in (gateway, service):
        assert process.stop() == 0
        # The client of Redis looks at the metrics of the SDK, wherever that is installed.
        assert not TRACING_MODULES & set(process.log().split())
        (line,) = lines(process, trace_id)
        assert "span_id" not in line
    assert collector.spans == []
