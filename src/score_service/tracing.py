"""The spans of the score service.

Invariants, besides those of `service_runtime.telemetry.tracing`:
- No span lasts as long as a watch: that of a stream ends with its first message.
- No name and no attribute has a board, a user or an award.

Names of attributes are those of OpenTelemetry's semantic conventions, or begin with `laurel.`.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import INVALID_SPAN, Link, NonRecordingSpan, Span, SpanKind, StatusCode

from service_runtime.telemetry.tracing import Steps, is_on

_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that are the server's fault, by the semantic conventions of gRPC."""
_TRACER: Final = trace.get_tracer("score_service", version("laurel"))
_STEPS: Final = Steps(_TRACER)


def begin_call(method: str, metadata: Mapping[str, str | bytes]) -> Span:
    """Begin the span of a call that came in, below that of its caller; an invalid one while off."""
    if not is_on():
        return INVALID_SPAN
    return _TRACER.start_span(
        method,
        propagate.extract(metadata),
        SpanKind.SERVER,
        {"rpc.system.name": "grpc", "rpc.method": method},
    )


def end_call(span: Span, code: str) -> None:
    """End the span of a call, unless it has ended: that of a stream does so with the first message."""
    if not span.is_recording():
        return
    span.set_attribute("rpc.response.status_code", code)
    if code in _FAULTS:
        span.set_attribute("error.type", code)
        span.set_status(StatusCode.ERROR)
    span.end()


def begin_batch(callers: Iterable[Span], awards: int) -> Span:
    """Begin the span of a batch; an invalid one while tracing is off.

    It belongs to the trace of the first call that is sampled. Links lead from it to the spans of all sampled
    calls whose awards it has, as many as the SDK keeps, and from each of those to it.
    """
    if not is_on():
        return INVALID_SPAN
    spans = [span for span in dict.fromkeys(callers) if span is not INVALID_SPAN]
    sampled = [span for span in spans if span.get_span_context().trace_flags.sampled]
    if not sampled:
        return NonRecordingSpan(spans[0].get_span_context()) if spans else INVALID_SPAN
    batch = _TRACER.start_span(
        "batch",
        trace.set_span_in_context(sampled[0]),
        attributes={"laurel.batch.awards": awards},
        links=[Link(span.get_span_context()) for span in sampled],
    )
    for span in sampled:
        if span.is_recording():  # Its caller may have given up.
            span.add_link(batch.get_span_context())
    return batch


def statement(name: str) -> AbstractContextManager[object]:
    """Make a span around a statement of the record, if there is one around the block."""
    return _STEPS.span(name, {"db.system.name": "postgresql", "db.query.summary": name})


def script(name: str) -> AbstractContextManager[object]:
    """Make a span around a script in Redis, if there is one around the block."""
    return _STEPS.span(
        name, {"db.system.name": "redis", "db.operation.name": "EVALSHA", "db.query.summary": name}
    )
