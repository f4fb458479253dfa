"""The spans of the gateway: what they say, and what they keep to themselves."""

import psycopg
import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN
from tests.fixtures.services.gateway import Gateway

from action_gateway import tracing
from action_gateway.errors import RateLimitedError
from service_runtime.telemetry.tracing import current_span, inside

PARENT = {"traceparent": f"00-{'1f' * 16}-{'2e' * 8}-01", "baggage": "theirs=1"}


def own(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    """Pick the spans of the gateway: the score service has its own in the same process."""
    made = [(span, span.instrumentation_scope) for span in spans.get_finished_spans()]
    return [span for span, scope in made if scope and scope.name == "action_gateway"]


@pytest.mark.parametrize(("status", "is_fault"), [(200, False), (429, False), (500, True), (503, True)])
def test_a_request_is_named_by_its_route_and_fails_if_the_server_does(
    spans: InMemorySpanExporter, status: int, *, is_fault: bool
) -> None:
    tracing.end_request(tracing.begin_request("GET", "http", PARENT), "GET", "/a", status)

    (span,) = own(spans)
    assert (span.name, span.kind.name) == ("GET /a", "SERVER")
    assert (span.parent and span.parent.trace_id) == int("1f" * 16, 16)
    assert span.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/a",
        "http.response.status_code": status,
    } | ({"error.type": str(status)} if is_fault else {})
    assert (span.status.is_ok, span.status.description) == (not is_fault, None)


async def test_a_request_without_a_route_is_named_by_its_method_and_health_checks_have_no_span(
    spans: InMemorySpanExporter, gateway: Gateway
) -> None:
    await gateway.http.get("/secret-path?and=query")
    await gateway.http.request("PROPFIND", "/secret-path")
    await gateway.http.get("/livez")
    await gateway.http.get("/readyz")

    got, brewed = own(spans)
    assert [got.name, brewed.name] == ["GET", "_OTHER"]
    assert "secret" not in f"{got.attributes}{brewed.attributes}"


async def test_trace_ids_of_a_client_are_adopted_but_not_its_baggage(
    spans: InMemorySpanExporter, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[object]()

    def look(name: str) -> object:
        seen.append(baggage.get_all())
        return script(name)

    script = tracing.statement
    monkeypatch.setattr(tracing, "statement", look)
    player = await gateway.player()
    response = await player.http.get("/api/v1/actions", headers=player.headers | PARENT)
    assert response.status_code == 200

    assert seen
    assert not any(seen)
    contexts = [span.get_span_context() for span in own(spans)]
    assert {context.trace_id for context in contexts if context} == {int("1f" * 16, 16)}


async def test_a_failed_store_span_has_the_kind_of_the_failure_but_not_its_message(
    spans: InMemorySpanExporter,
) -> None:
    with trace.get_tracer("tests").start_as_current_span("around"):
        with pytest.raises(psycopg.OperationalError), tracing.statement("get_action"):
            raise psycopg.OperationalError("of ada")
        with pytest.raises(RateLimitedError), tracing.count("login"):
            raise RateLimitedError(1.0)

    failed, rejected, _ = spans.get_finished_spans()
    assert failed.attributes == {
        "db.system.name": "postgresql",
        "db.query.summary": "get_action",
        "error.type": "OperationalError",
    }
    assert (failed.status.is_ok, failed.status.description, failed.events) == (False, None, ())
    assert (rejected.name, rejected.status.is_ok) == ("count login", True)


def test_while_tracing_is_off_no_span_is_valid() -> None:
    assert tracing.begin_request("GET", "http", PARENT) is INVALID_SPAN
    with inside(INVALID_SPAN), tracing.statement("a"), tracing.count("b"):
        assert current_span() is INVALID_SPAN
