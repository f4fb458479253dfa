"""Traces, by OpenTelemetry: which spans there are, and whether anything becomes of them.

Invariants:
- Spans are made if the process has a tracer provider when it starts, and it has one only if its environment
  asks for that. Otherwise nothing here imports the SDK.
- No span lasts as long as a watch: that of a stream ends with its first message.
- What is done in a store has a span only inside of another one, so no loop makes any.
- No name and no attribute has a board, a user, an award, a value of a statement or the text of an error.

Names of attributes are those of OpenTelemetry's semantic conventions, or begin with `laurel.`.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import structlog
from opentelemetry import propagate, trace
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    ProxyTracerProvider,
    Span,
    SpanKind,
    StatusCode,
)

from score_service.settings import SetupError

_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that are the server's fault, by the semantic conventions of gRPC."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LAST_SECONDS: Final = 1.0
"""For the last spans to leave when the process ends. Their receiver may be away."""
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_PARSERS: Final = ("opentelemetry.baggage", "opentelemetry.trace", "opentelemetry.util")
"""They warn of each header that is not well formed, word for word: of what anybody sends as often as that is
sent, and of what we are to send, which may be a password."""
_NOTHING: Final = nullcontext()
_TRACER: Final = trace.get_tracer("score_service", version("laurel"))

_log = structlog.get_logger(__name__)


@cache
def is_on() -> bool:
    """Tell whether spans are made. That is settled when the process starts."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def current_span() -> Span:
    """Give the span of what is done here; an invalid one where there is none."""
    return trace.get_current_span() if is_on() else INVALID_SPAN


def ids_of(span: Span) -> Mapping[str, str]:
    """Give the ids of a span, as log lines have them; none of an invalid one."""
    if span is INVALID_SPAN:
        return {}
    context = span.get_span_context()
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def inside(span: Span) -> AbstractContextManager[object]:
    """Make a span the current one within the block. It goes on after that."""
    if span is INVALID_SPAN:
        return _NOTHING
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)


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
    return _step(name, {"db.system.name": "postgresql", "db.query.summary": name})


def script(name: str) -> AbstractContextManager[object]:
    """Make a span around a script in Redis, if there is one around the block."""
    return _step(name, {"db.system.name": "redis", "db.operation.name": "EVALSHA", "db.query.summary": name})


def _step(name: str, attributes: Mapping[str, str]) -> AbstractContextManager[object]:
    return _recorded(name, attributes) if current_span().is_recording() else _NOTHING


@contextmanager
def _recorded(name: str, attributes: Mapping[str, str]) -> Iterator[None]:
    with _TRACER.start_as_current_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        # The text of an error may hold what must not leave.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Tell whether traces are to be exported: an exporter is named, or where an OTLP receiver is."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter := environment.get("OTEL_TRACES_EXPORTER", "").strip().lower():
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)


@contextmanager
def exporting(service: str) -> Iterator[None]:
    """Have spans exported within the block, if the environment asks for that, as the SDK reads it.

    Raises:
        SetupError: the SDK cannot work with what the environment says.
    """
    provider = _set_up(service) if is_asked_for(os.environ) else None
    try:
        yield
    finally:
        if provider is not None:
            _shut_down(provider)


def _set_up(service: str) -> Any:
    """Set the SDK up, if it is there, and give its provider."""
    own = f"service.name={service},service.version={version('laurel')}"
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES")
    # Of two values of one attribute the later one counts.
    os.environ["OTEL_RESOURCE_ATTRIBUTES"] = f"{own},{given}" if given else own
    # The default by the specification; the SDK alone has none.
    os.environ["OTEL_TRACES_EXPORTER"] = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    # There are traces only: metrics are read by Prometheus, logs go to standard output.
    os.environ |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    try:
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator  # noqa: PLC0415
    except ImportError:
        _log.warning("no traces", why="the extra otel is not installed")
        return None
    faults = [f"{name}: must be NAME=VALUE, comma-separated" for name in _HEADERS if not _are_pairs(name)]
    if faults:
        raise SetupError(faults)
    for parser in _PARSERS:
        logging.getLogger(parser).setLevel(logging.ERROR)
    configurator: Any = _OTelSDKConfigurator  # It has no types.
    try:
        configurator().configure()
    except (RuntimeError, ValueError) as error:
        raise SetupError([f"OTEL_…: {error}"]) from error
    # A line that the SDK logged meanwhile asked too early.
    is_on.cache_clear()
    return trace.get_tracer_provider()


def _are_pairs(name: str) -> bool:
    pairs = os.environ.get(name, "").split(",")
    return all("=" in pair for pair in pairs if pair.strip())


def _shut_down(provider: Any) -> None:
    """Send the last spans, but do not wait longer for that than a moment."""
    atexit.unregister(provider.shutdown)
    last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    last.start()
    last.join(_LAST_SECONDS)
