"""Log set-up, the metrics of the gateway, and what is told of every request.

Everything logs through structlog's processors, the standard library's loggers included: one event a line,
on standard output. A request gets one line, with its route. No line holds a token, a password, an answer, a
body or a query string, and no label a user.
"""

import logging
import re
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, TextIO

import structlog
from opentelemetry.trace import INVALID_SPAN, Span
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from action_gateway import tracing
from action_gateway.edge.admission import AdmissionMetrics
from action_gateway.edge.health import PATHS as HEALTH_PATHS
from action_gateway.edge.problems import answer_unknown

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACE_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_EVENTS: Final = "text/event-stream"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})

_log = structlog.get_logger(__name__)


def configure_logging(form: str, level: str, stream: TextIO | None = None) -> None:
    """Send every log event to a stream, as JSON or for a terminal (`auto`: where the stream is one)."""
    stream = stream or sys.stdout
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_span,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = form == "console" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(console)],
        )
    )
    wanted = logging.getLevelNamesMapping()[level.upper()]
    # What libraries tell below that is too much, and may hold secrets.
    logging.basicConfig(handlers=[handler], level=max(wanted, logging.INFO), force=True)
    for ours in ("action_gateway", "score_client"):
        logging.getLogger(ours).setLevel(wanted)
    # Of every WebSocket uvicorn tells the query string; of itself Alembic tells too much.
    for noisy in ("uvicorn.error", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(max(wanted, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def add_span(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the span that a line belongs to."""
    event.update(tracing.ids_of(tracing.current_span()))
    return event


def _renderers(console: bool) -> list[Any]:  # noqa: FBT001 - which of the two
    if console:
        # Not the default formatter: that one shows local variables, and some of those are secrets.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


class Metrics:
    """The metric objects, in a registry of their own."""

    def __init__(self) -> None:
        # When each series began would double their number, and nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = Counter(
            "gateway_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "gateway_request_seconds",
            "Seconds from the start of a request to its end.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.problems = Counter(
            "gateway_problems",
            "Requests that failed, by the code of the problem.",
            ["route", "code"],
            registry=self.registry,
        )
        self.admission = AdmissionMetrics(self.registry)
        self.ready = Gauge("gateway_ready", "1 while the gateway is ready.", registry=self.registry)
        build = Gauge("gateway_build_info", "1, with the version.", ["version"], registry=self.registry)
        build.labels(version("laurel")).set(1)

    def follow(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when the metrics are."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def follow_parts(self, parts: Iterable[str], is_there: Callable[[str], bool]) -> None:
        """Tell of each part whether it is there, whenever the metrics are read."""
        there = Gauge(
            "gateway_part_up",
            "1 while a part that the gateway uses is there, as of the last look.",
            ["part"],
            registry=self.registry,
        )
        for part in parts:
            there.labels(part).set_function(partial(is_there, part))


def note_user(user_id: str) -> None:
    """Put the user into what is logged of this request from here on."""
    structlog.contextvars.bind_contextvars(user_id=user_id)


def note_action(action_id: str) -> None:
    """Put the action into what is logged of this request from here on."""
    structlog.contextvars.bind_contextvars(action_id=action_id)


def find_trace_id() -> str | None:
    """Give the W3C trace id of this request, 32 hexadecimal digits; None outside of requests."""
    trace_id: str | None = structlog.contextvars.get_contextvars().get("trace_id")
    return trace_id


class RequestTelemetry:
    """Names every request, logs and counts it, and keeps what nobody expected from leaking.

    The outermost layer of what has a place. `X-Request-Id` and `traceparent` are taken over if they are
    well-formed, and made otherwise.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _take_request_id(headers.get("x-request-id", ""))
        span = _begin_span(scope, headers)
        ids = tracing.ids_of(span) or {"trace_id": _take_trace_id(headers.get("traceparent", ""))}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, **ids)
        observed = _Observed(scope, send, request_id, span)
        started = time.monotonic()
        with tracing.inside(span):
            try:
                await self._serve(scope, receive, observed)
            finally:
                self._report(scope, observed.status, time.monotonic() - started)
                observed.end_span(observed.status)

    async def _serve(self, scope: Scope, receive: Receive, observed: "_Observed") -> None:
        try:
            await self._app(scope, receive, observed.send)
        except Exception as error:
            if observed.status is not None or scope["type"] != "http":
                raise
            await answer_unknown(error)(scope, receive, observed.send)

    def _report(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = _route(scope) or "unmatched"
        method = scope.get("method", "WEBSOCKET")
        method = method if method in _METHODS or scope["type"] == "websocket" else "other"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if code := structlog.contextvars.get_contextvars().get("problem"):
            self._metrics.problems.labels(route, code).inc()
        _log.info("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))


class _Observed:
    """The sending side of a request, watched."""

    def __init__(self, scope: Scope, send: Send, request_id: str, span: Span) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._span = span
        self.status: int | None = None
        """Of the response, or the close code of a WebSocket; None while there is none."""

    async def send(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = self._request_id
                if self._span.is_recording() and headers.get("content-type", "").startswith(_EVENTS):
                    self.end_span(self.status)
            case "websocket.accept":
                self.end_span(HTTPStatus.SWITCHING_PROTOCOLS)
            case "websocket.close":
                self.status = message.get("code", 1000)
                self.end_span(HTTPStatus.FORBIDDEN)  # What the server makes of a close without an accept.
        await self._send(message)

    def end_span(self, status: int | None) -> None:
        """End the span with the status of the response, unless it has ended: a socket may stay open."""
        tracing.end_request(self._span, _span_method(self._scope), _route(self._scope), status)


def _route(scope: Scope) -> str | None:
    # No route has a variable part, so the path of a request that met one is the route's template.
    return scope["path"] if "endpoint" in scope else None


def _begin_span(scope: Scope, headers: Headers) -> Span:
    if scope["path"] in HEALTH_PATHS:
        return INVALID_SPAN
    return tracing.begin_request(_span_method(scope), scope["scheme"], headers)


def _span_method(scope: Scope) -> str:
    method: str = scope.get("method", "GET")  # A WebSocket begins as such a request.
    return method if method in _METHODS else "_OTHER"


def _take_request_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _take_trace_id(parent: str) -> str:
    match = _TRACE_PARENT.fullmatch(parent)
    return match[1] if match else secrets.token_hex(16)
