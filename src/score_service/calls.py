"""One call, as the log and the metrics tell of it: who called what, how it ended and how long it took.

Never what was in it.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import grpc
import structlog
from grpc import StatusCode

from score_service.caller import read_request_id, read_trace_id
from score_service.status import INTERNAL, outcome_of
from score_service.telemetry import MethodMetrics, Metrics

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_HEALTH: Final = "grpc.health.v1.Health/"
_log = structlog.get_logger(__name__)


class Call:
    """A call under way."""

    def __init__(self, context: Context, trace_id: str) -> None:
        self.trace_id = trace_id
        self.reason = ""
        self.code: StatusCode | None = None
        self._context = context

    def name_caller(self, spiffe_id: str) -> None:
        """Name the caller in every log line from here on."""
        structlog.contextvars.bind_contextvars(caller=spiffe_id)

    def fail(self, error: Exception) -> None:
        """Take the error that ends the call. One that is no answer to a request is logged whole."""
        outcome = outcome_of(error)
        self.code, self.reason = outcome.code, outcome.reason
        if outcome is INTERNAL:
            _log.error("call failed", exc_info=error)

    def cut(self, error: BaseException) -> None:
        """Take an end that gRPC made: a status set by hand, the caller's cancel or deadline, a lost peer."""
        if isinstance(error, grpc.aio.AbortError):
            self.code = self._context.code()
        elif self._context.time_remaining() == 0:
            self.code = StatusCode.DEADLINE_EXCEEDED
        else:
            self.code = StatusCode.CANCELLED

    def end(self) -> StatusCode:
        """Tell the code the call ended with."""
        # A handler may have set a code; the stubs leave out that most have not.
        by_handler: StatusCode | None = self._context.code()
        return self.code or by_handler or StatusCode.OK


@contextmanager
def observe(method: str, context: Context, metrics: Metrics, of_method: MethodMetrics) -> Iterator[Call]:
    """Count and time a call, and write its one line when it has ended."""
    started = time.perf_counter()
    of_method.started.inc()
    # The stubs promise an object with methods; it is a plain sequence of pairs.
    pairs: Any = context.invocation_metadata() or ()
    metadata = dict(pairs)
    call = Call(context, read_trace_id(metadata))
    with structlog.contextvars.bound_contextvars(
        caller="", request_id=read_request_id(metadata), trace_id=call.trace_id, **{"grpc.method": method}
    ):
        try:
            yield call
        except (asyncio.CancelledError, grpc.aio.BaseError) as error:
            if call.code is None:
                call.cut(error)
            raise
        finally:
            _report(call, method, time.perf_counter() - started, metrics, of_method)


def _report(call: Call, method: str, seconds: float, metrics: Metrics, of_method: MethodMetrics) -> None:
    code = call.end()
    of_method.handled[code.name].inc()
    of_method.seconds.observe(seconds)
    if call.reason:
        metrics.rejected.labels(call.reason).inc()
    fields = {"grpc.code": code.name, "duration_ms": round(seconds * 1000, 3)}
    # Callers ask after our health all the time.
    expected = code is StatusCode.OK and method.startswith(_HEALTH)
    _log.log(logging.DEBUG if expected else logging.INFO, "call", reason=call.reason, **fields)
