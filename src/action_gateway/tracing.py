"""The spans of the gateway.

Invariants, besides those of `service_runtime.telemetry.tracing`:
- No span lasts as long as a socket: that of a WebSocket ends when it is accepted, that of an event stream
  when its response begins.
- No name and no attribute has a path that is no route, a user or a header.

Names of attributes are those of OpenTelemetry's semantic conventions.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode

from action_gateway.errors import GatewayError
from service_runtime.telemetry.tracing import Steps, is_on

_SERVER_ERROR: Final = 500
_TRACER: Final = trace.get_tracer("action_gateway", version("laurel"))
_STEPS: Final = Steps(_TRACER, expected=(GatewayError,))


def begin_request(method: str, scheme: str, headers: Mapping[str, str]) -> Span:
    """Begin the span of a request, below that of its client; an invalid one while tracing is off.

    Of what the client says its span is taken over, `tracestate` included, and no baggage, which would go on
    to the score service.
    """
    if not is_on():
        return INVALID_SPAN
    theirs = trace.get_current_span(propagate.extract(headers))
    return _TRACER.start_span(
        method,
        trace.set_span_in_context(theirs),
        SpanKind.SERVER,
        {"http.request.method": method, "url.scheme": scheme},
    )


def end_request(span: Span, method: str, route: str | None, status: int | None) -> None:
    """End the span of a request, unless it has ended. A request that was given up has no status."""
    if not span.is_recording():
        return
    if route is not None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    if status is not None:
        span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
    span.end()


def statement(name: str) -> AbstractContextManager[object]:
    """Make a span around a statement in PostgreSQL, if there is one around the block."""
    return _STEPS.span(name, {"db.system.name": "postgresql", "db.query.summary": name})


def count(name: str) -> AbstractContextManager[object]:
    """Make a span around a count in Redis, if there is one around the block."""
    return _STEPS.span(f"count {name}", {"db.system.name": "redis", "db.query.summary": f"count {name}"})
