"""How a call ended, as the metrics and the log tell it."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from structlog.testing import capture_logs

from score_service.errors import NotAllowedError
from score_service.grpc_api.calls import Call, Observer
from score_service.metrics import Metrics


class Context:
    """What a call's context tells of it."""

    def __init__(self, code: StatusCode | None = None, seconds_left: float | None = None) -> None:
        self._code = code
        self._seconds_left = seconds_left

    def code(self) -> StatusCode | None:
        return self._code

    def time_remaining(self) -> float | None:
        return self._seconds_left

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return (("x-request-id", "r-1"), ("odd-bin", b"\xff"))


def ended(context: Context, error: BaseException | None = None) -> str:
    """Let a call end in some way; give the one code that was counted."""
    metrics = Metrics()
    of_method = metrics.calls.of("unary", "s", "m")
    call_context: Any = context
    try:
        with Call("s/m", call_context, Observer(metrics), of_method):
            if error is not None:
                raise error
    except (asyncio.CancelledError, grpc.aio.BaseError):
        pass
    counted = [code for code, count in of_method.handled.items() if count]
    assert len(counted) == 1
    return counted[0]


@pytest.mark.parametrize(
    ("context", "error", "code"),
    [
        (Context(), None, "OK"),
        (Context(StatusCode.NOT_FOUND), None, "NOT_FOUND"),
        (Context(StatusCode.NOT_FOUND), grpc.aio.AbortError(), "NOT_FOUND"),
        (Context(), asyncio.CancelledError(), "CANCELLED"),
        (Context(seconds_left=3.0), asyncio.CancelledError(), "CANCELLED"),
        (Context(seconds_left=0.0), asyncio.CancelledError(), "DEADLINE_EXCEEDED"),
        (Context(), grpc.aio.InternalError(), "CANCELLED"),
    ],
)
def test_each_end_is_counted_under_its_code(context: Context, error: BaseException | None, code: str) -> None:
    assert ended(context, error) == code


def test_a_rejection_is_counted_by_its_reason_and_logged_without_its_trace() -> None:
    metrics, context = Metrics(), Context()
    call_context: Any = context
    with (
        capture_logs() as logs,
        Call("s/m", call_context, Observer(metrics), metrics.calls.of("unary", "s", "m")) as call,
    ):
        call.fail(NotAllowedError())
    assert metrics.rejected.labels("NOT_ALLOWED")._value.get() == 1
    (line,) = logs
    assert (line["grpc.code"], line["reason"]) == ("PERMISSION_DENIED", "NOT_ALLOWED")
    assert "exc_info" not in line


@pytest.mark.parametrize(
    ("method", "code", "level"),
    [
        ("grpc.health.v1.Health/Check", None, "debug"),
        ("grpc.health.v1.Health/Check", StatusCode.NOT_FOUND, "info"),
        ("score_api.v1.ScoreService/GetAward", None, "info"),
    ],
)
def test_only_a_good_answer_about_health_is_of_no_interest(
    method: str, code: StatusCode | None, level: str
) -> None:
    metrics, context = Metrics(), Context(code)
    call_context: Any = context
    with (
        capture_logs() as logs,
        Call(method, call_context, Observer(metrics), metrics.calls.of("unary", "s", "m")),
    ):
        pass
    assert [line["log_level"] for line in logs] == [level]
