"""One call, as the log and the metrics have it: who called what, how it ended and how long it took.

Never what was in it.
"""

import time
from collections.abc import Mapping
from typing import Any, Final, Self, TypeAlias

import grpc
import structlog
from grpc import StatusCode
from opentelemetry.trace import INVALID_SPAN, Span

from score_service import tracing
from score_service.access.caller import read_request_id, read_trace_id
from score_service.grpc_api.status import INTERNAL, error_status_of
from score_service.metrics import CALL_FIELDS, MethodMetrics, Metrics
from service_runtime.telemetry.tracing import ids_of

ServicerContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_HEALTH: Final = "grpc.health.v1.Health/"


class Call:
    """A call under way: counts and times it, and writes its one line when it has ended."""

    __slots__ = (
        "_context",
        "_fields",
        "_method",
        "_metrics",
        "_observer",
        "_started",
        "_token",
        "code",
        "reason",
        "span",
        "trace_id",
    )

    def __init__(
        self, method: str, context: ServicerContext, observer: "Observer", metrics: MethodMetrics
    ) -> None:
        # The stubs promise an object with methods; it is a plain sequence of pairs.
        pairs: Any = context.invocation_metadata()
        metadata = dict(pairs) if pairs else {}
        self.span = _begin_span(method, metadata)
        ids = ids_of(self.span) or {"trace_id": read_trace_id(metadata)}
        self.trace_id = ids["trace_id"]
        self.reason = ""
        self.code: StatusCode | None = None
        self._method = method
        self._context = context
        self._observer = observer
        self._metrics = metrics
        self._fields = {
            "caller": "",
            "request_id": read_request_id(metadata),
            **ids,
            "grpc.method": method,
        }

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._metrics.started += 1
        self._token = CALL_FIELDS.set(self._fields)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and self.code is None:
            self.cut(error)
        code = self.end()
        seconds = time.perf_counter() - self._started
        self._observer.report(self._method, code, self.reason, seconds, self._metrics)
        if self.span is not INVALID_SPAN:
            tracing.end_call(self.span, code.name)
        CALL_FIELDS.reset(self._token)

    def name_caller(self, spiffe_id: str) -> None:
        """Name the caller in every log line from here on."""
        self._fields["caller"] = spiffe_id

    def begin_stream(self) -> None:
        """End the span, if not before: a stream may last, and what it sends from here on has no trace."""
        tracing.end_call(self.span, StatusCode.OK.name)

    def fail(self, error: Exception) -> None:
        """Take the error that ends the call. One that is no answer to a request is logged whole."""
        status = error_status_of(error)
        self.code, self.reason = status.code, status.reason
        if status is INTERNAL:
            self._observer.log.error("call_failed", exc_info=error)

    def cut(self, error: BaseException) -> None:
        """Take an end that gRPC made: a status set by hand, the caller's cancel or deadline, a lost peer."""
        if isinstance(error, grpc.aio.AbortError):
            self.code = self._context.code()
        elif self._context.time_remaining() == 0:
            self.code = StatusCode.DEADLINE_EXCEEDED
        else:
            self.code = StatusCode.CANCELLED

    def end(self) -> StatusCode:
        """Return the code the call ended with."""
        # A handler may have set a code; the stubs leave out that most have not.
        by_handler: StatusCode | None = self._context.code()
        return self.code or by_handler or StatusCode.OK


def _begin_span(method: str, metadata: Mapping[str, str | bytes]) -> Span:
    return INVALID_SPAN if method.startswith(_HEALTH) else tracing.begin_call(method, metadata)


class Observer:
    """Logs and counts calls."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Bound once, because a call writes one line and the binding costs as much as the line.
        self.log = structlog.get_logger(__name__).bind()

    def report(
        self, method: str, code: StatusCode, reason: str, seconds: float, of_method: MethodMetrics
    ) -> None:
        """Report a call that has ended with a code, and for a reason where it got no result."""
        name = code.name
        of_method.end_call(name, seconds)
        if reason:
            self._metrics.rejected.labels(reason).inc()
        # Callers ask after our health all the time.
        expected = code is StatusCode.OK and method.startswith(_HEALTH)
        log = self.log.debug if expected else self.log.info
        log("call", reason=reason, **{"grpc.code": name, "duration_ms": round(seconds * 1000, 3)})
