"""Traces, by OpenTelemetry: whether spans are recorded, where they are exported, and the span of a step.

Invariants:
- Spans are recorded if the process has a tracer provider when it starts, and it has one only if its
  environment asks for that. Otherwise nothing here imports the SDK.
- A step in a store has a span only inside of another one, so no background loop makes any.
- No name and no attribute has a value of a statement or the text of an error.

Names of attributes are those of OpenTelemetry's semantic conventions.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from importlib.metadata import entry_points, version
from typing import Any, Final

import structlog
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, ProxyTracerProvider, Span, SpanKind, StatusCode, Tracer

from service_runtime.errors import SetupError

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_OTLP: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""By protocol, the exporter's entry point. The first is the default of the SDK for Python."""
_EXPORTERS: Final = "opentelemetry_traces_exporter"
"""The group of entry points by which exporters are found, by the specification of the SDK for Python."""
_SHUTDOWN_SECONDS: Final = 1.0
"""For the last spans to be exported when the process ends. Their receiver may be unavailable."""
_PARSERS: Final = ("opentelemetry.baggage", "opentelemetry.trace", "opentelemetry.util")
"""They log each malformed header word for word: of what clients send, as often as that is sent, and of what
is configured here, which may be a password."""
_NO_SPAN: Final = nullcontext()

_log = structlog.get_logger(__name__)


@cache
def is_on() -> bool:
    """Whether spans are recorded. That is settled when the process starts."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def current_span() -> Span:
    """Return the current span; an invalid one where there is none."""
    return trace.get_current_span() if is_on() else INVALID_SPAN


def ids_of(span: Span) -> Mapping[str, str]:
    """Return the ids of a span, as log lines have them; none of an invalid one."""
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
        return _NO_SPAN
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)


class Steps:
    """Makes the spans of steps in the stores of one service."""

    def __init__(self, tracer: Tracer, expected: tuple[type[BaseException], ...] = ()) -> None:
        """Take the service's tracer, and the exceptions that are answers of a step and no failure of it."""
        self._tracer = tracer
        self._expected = expected

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[object]:
        """Make a span around a step, if there is one around the block."""
        return self._record(name, attributes) if current_span().is_recording() else _NO_SPAN

    @contextmanager
    def _record(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            # The text of an error may hold what must not leave.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except self._expected:
                raise
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether traces are to be exported: an exporter is named, or where an OTLP receiver is."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter := environment.get("OTEL_TRACES_EXPORTER", "").strip().lower():
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)


@contextmanager
def exporting(service: str, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Export spans within the block, if the environment asks for that.

    Sampling, limits, batches and the exporter's own settings are read by the SDK from the same environment.

    Raises:
        SetupError: the SDK cannot work with what the environment says.
    """
    provider = _make_provider(service, environment) if is_asked_for(environment) else None
    if provider is not None:
        trace.set_tracer_provider(provider)
        is_on.cache_clear()  # A line that the SDK logged meanwhile asked too early.
    try:
        yield
    finally:
        if provider is not None:
            _shut_down(provider)


def _make_provider(service: str, environment: Mapping[str, str]) -> Any:
    """Make the SDK's provider, if the SDK is installed."""
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        _log.warning("tracing_unavailable", error="the extra otel is not installed")
        return None
    faults = [
        f"{name}: must be NAME=VALUE, comma-separated"
        for name in _HEADERS
        if not _is_pairs(environment, name)
    ]
    if faults:
        raise SetupError(faults)
    for parser in _PARSERS:
        logging.getLogger(parser).setLevel(logging.ERROR)
    own = Resource.create({"service.name": service, "service.version": version("laurel")})
    try:
        provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
        for name in _exporter_names(environment):
            provider.add_span_processor(BatchSpanProcessor(_load_exporter(name)()))
    except (RuntimeError, ValueError) as error:
        raise SetupError([f"OTEL_…: {error}"]) from error
    return provider


def _exporter_names(environment: Mapping[str, str]) -> Iterator[str]:
    # OTLP is the default by the specification.
    for name in (environment.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        if (name := name.strip()) == "otlp":
            protocol = next((said for said in map(environment.get, _PROTOCOLS) if said), "grpc").strip()
            yield _OTLP.get(protocol, protocol)
        else:
            yield name


def _load_exporter(name: str) -> Any:
    for found in entry_points(group=_EXPORTERS, name=name):
        return found.load()
    raise ValueError(f"there is no exporter {name} for traces")


def _is_pairs(environment: Mapping[str, str], name: str) -> bool:
    return all("=" in pair for pair in environment.get(name, "").split(",") if pair.strip())


def _shut_down(provider: Any) -> None:
    """Export the last spans, but wait no longer for that than a moment."""
    atexit.unregister(provider.shutdown)
    last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    last.start()
    last.join(_SHUTDOWN_SECONDS)
