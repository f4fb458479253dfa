"""What is logged, counted and traced of every request.

A request gets one line, with its route. No line holds a token, a password, an answer, a body or a query
string.
"""

import asyncio
import re
import secrets
import time
import uuid
from functools import cache
from http import HTTPStatus
from typing import Final

import structlog
from opentelemetry.trace import INVALID_SPAN, Span
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from action_gateway import tracing
from action_gateway.edge.exception_handlers import answer_unknown
from action_gateway.edge.problems import answer
from action_gateway.errors import UnavailableError
from action_gateway.metrics import Metrics
from action_gateway.request_context import begin_request, find_problem
from service_runtime.http.admin import LIVE_PATH, READY_PATH
from service_runtime.telemetry.tracing import ids_of, inside

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACE_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_EVENTS: Final = "text/event-stream"
_CARRIERS: Final = frozenset({"http.response.body", "websocket.send"})
"""Messages that carry content, of which nothing is noted."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})

_log = structlog.get_logger(__name__)


class RequestTelemetry:
    """Names every request, logs and counts it, and keeps unexpected failures from leaking.

    The outermost layer of what was accepted. `X-Request-Id` and `traceparent` are taken over if they are
    well-formed, and made otherwise.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._find_series = cache(self._make_series)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _take_request_id(headers.get("x-request-id", ""))
        span = _begin_span(scope, headers)
        ids = ids_of(span) or {"trace_id": _take_trace_id(headers.get("traceparent", ""))}
        begin_request(request_id, dict(ids))
        observed = _Observed(scope, send, request_id, span)
        started = time.monotonic()
        with inside(span):
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
        except asyncio.CancelledError:
            # By the server, at the end of a stop. What the request has done by now is unknown.
            if observed.status is not None or scope["type"] != "http":
                raise
            await answer(UnavailableError())(scope, receive, observed.send)

    def _report(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = _route(scope) or "unmatched"
        method = scope.get("method", "WEBSOCKET")
        method = method if method in _METHODS or scope["type"] == "websocket" else "other"
        requests, durations = self._find_series(method, route, status)
        requests.inc()
        durations.observe(seconds)
        if code := find_problem():
            self._metrics.problems.labels(route, code).inc()
        _log.info("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))

    def _make_series(self, method: str, route: str, status: int | None) -> tuple[Counter, Histogram]:
        metrics = self._metrics
        return metrics.requests.labels(method, route, status), metrics.seconds.labels(method, route)


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
        if message["type"] not in _CARRIERS:
            self._observe(message)
        await self._send(message)

    def _observe(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", self._request_id.encode())]
                if self._span.is_recording() and _is_event_stream(message):
                    self.end_span(self.status)
            case "websocket.accept":
                self.end_span(HTTPStatus.SWITCHING_PROTOCOLS)
            case "websocket.close":
                self.status = message.get("code", 1000)
                self.end_span(HTTPStatus.FORBIDDEN)  # What the server makes of a close without an accept.

    def end_span(self, status: int | None) -> None:
        """End the span with the status of the response, unless it has ended: a socket may stay open."""
        tracing.end_request(self._span, _span_method(self._scope), _route(self._scope), status)


def _is_event_stream(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith(_EVENTS)


def _route(scope: Scope) -> str | None:
    # No route has a variable part, so the path of a request that met one is the route's template.
    return scope["path"] if "endpoint" in scope else None


def _begin_span(scope: Scope, headers: Headers) -> Span:
    if scope["path"] in {LIVE_PATH, READY_PATH}:
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
