"""The one table from the errors of this service to what the caller sees.

An error that is not in the table is a fault of ours: it leaves as INTERNAL with one fixed text, and
nothing of it is shown.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc import StatusCode
from grpc_status import rpc_status

from score_api.v1.score_service_pb2 import AwardError
from score_service import errors
from score_service.domain.ledger.reversal import Reversal
from score_service.grpc_api.messages import write_reversal

DOMAIN: Final = "laurel"
_PUSHBACK: Final = "grpc-retry-pushback-ms"
_INTERNAL: Final = "The service has failed. It has been logged."


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """A status code with the reason behind it."""

    code: StatusCode
    reason: str
    retry_after: float | None = None
    """Seconds after which to try again, where that helps."""


@dataclass(frozen=True)
class CallStatus(grpc.Status):
    """A status as gRPC takes it, with trailers of our own."""

    code: StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


INTERNAL: Final = ErrorStatus(StatusCode.INTERNAL, "INTERNAL")
OVERLOADED: Final = ErrorStatus(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 1.0)
TABLE: Final[Mapping[type[errors.ScoreServiceError], ErrorStatus]] = {
    errors.InvalidRequestError: ErrorStatus(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    errors.OccurredAtOutOfRangeError: ErrorStatus(StatusCode.INVALID_ARGUMENT, "OCCURRED_AT_OUT_OF_RANGE"),
    errors.TimeZoneUnknownError: ErrorStatus(StatusCode.INVALID_ARGUMENT, "TIME_ZONE_UNKNOWN"),
    errors.SeasonsOverlapError: ErrorStatus(StatusCode.INVALID_ARGUMENT, "SEASONS_OVERLAP"),
    errors.IdentityMissingError: ErrorStatus(StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING"),
    errors.CertificateExpiredError: ErrorStatus(StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED"),
    errors.NotAllowedError: ErrorStatus(StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
    errors.QuotaExceededError: ErrorStatus(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"),
    errors.OverloadedError: OVERLOADED,
    errors.AwardConflictError: ErrorStatus(StatusCode.ALREADY_EXISTS, "AWARD_CONFLICT"),
    errors.AwardArchivedError: ErrorStatus(StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED"),
    errors.AwardReversedError: ErrorStatus(StatusCode.ALREADY_EXISTS, "AWARD_REVERSED"),
    errors.PlanStaleError: ErrorStatus(StatusCode.FAILED_PRECONDITION, "PLAN_STALE"),
    errors.PositionUnknownError: ErrorStatus(StatusCode.FAILED_PRECONDITION, "POSITION_UNKNOWN"),
    errors.HistoryArchivedError: ErrorStatus(StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED"),
    errors.TotalOutOfRangeError: ErrorStatus(StatusCode.OUT_OF_RANGE, "TOTAL_OUT_OF_RANGE"),
    errors.PeriodClosedError: ErrorStatus(StatusCode.FAILED_PRECONDITION, "PERIOD_CLOSED"),
    errors.PeriodOpenError: ErrorStatus(StatusCode.FAILED_PRECONDITION, "PERIOD_OPEN"),
    errors.BoardNotFoundError: ErrorStatus(StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"),
    errors.AwardNotFoundError: ErrorStatus(StatusCode.NOT_FOUND, "AWARD_NOT_FOUND"),
    errors.StandingNotFoundError: ErrorStatus(StatusCode.NOT_FOUND, "STANDING_NOT_FOUND"),
    errors.PeriodUnknownError: ErrorStatus(StatusCode.NOT_FOUND, "PERIOD_UNKNOWN"),
    errors.RecordUnavailableError: ErrorStatus(StatusCode.UNAVAILABLE, "RECORD_UNAVAILABLE", 1.0),
    errors.ProjectionUnavailableError: ErrorStatus(StatusCode.UNAVAILABLE, "PROJECTION_UNAVAILABLE", 1.0),
    errors.WatcherEvictedError: ErrorStatus(StatusCode.RESOURCE_EXHAUSTED, "WATCHER_EVICTED", 1.0),
    errors.ConnectionAgedError: ErrorStatus(StatusCode.UNAVAILABLE, "CONNECTION_AGED", 0.0),
    errors.ShuttingDownError: ErrorStatus(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", 0.0),
}


def error_status_of(error: BaseException) -> ErrorStatus:
    """Return what an error becomes."""
    return TABLE.get(type(error), INTERNAL) if isinstance(error, errors.ScoreServiceError) else INTERNAL


def to_status(error: BaseException) -> grpc.Status:
    """Make the status of an error, with the details that tell a program what to do."""
    status = error_status_of(error)
    details = [_pack(ErrorInfo(reason=status.reason, domain=DOMAIN, metadata=_metadata(error)))]
    if (retry_after := _retry_after(error)) is not None:
        details.append(_pack(RetryInfo(retry_delay=_duration(retry_after))))
    if isinstance(error, errors.FaultyFieldsError):
        details.append(_pack(_bad_request(error.fields)))
    if isinstance(error, errors.AwardReversedError) and isinstance(error.reversal, Reversal):
        details.append(_pack(write_reversal(error.reversal)))
    made = rpc_status.to_status(Status(code=status.code.value[0], message=_message(error), details=details))
    if retry_after is None:
        return made
    return CallStatus(made.code, made.details, (*made.trailing_metadata, _pushback(retry_after)))


def to_award_error(error: BaseException) -> AwardError:
    """Return for one award of a batch what the status is for a call."""
    status = error_status_of(error)
    written = AwardError(
        code=status.code.value[0], reason=status.reason, message=_message(error), metadata=_metadata(error)
    )
    if (retry_after := _retry_after(error)) is not None:
        written.retry_after_seconds = retry_after
    if isinstance(error, errors.FaultyFieldsError):
        written.fields.update(error.fields)
    return written


def _message(error: BaseException) -> str:
    return _INTERNAL if error_status_of(error) is INTERNAL else str(error)


def _metadata(error: BaseException) -> dict[str, str]:
    match error:
        case errors.AwardArchivedError():
            return {"revision": str(error.revision)}
        case errors.HistoryArchivedError():
            return {"archived_position": str(error.position)}
    return {}


def _retry_after(error: BaseException) -> float | None:
    status = error_status_of(error)
    return getattr(error, "retry_after", status.retry_after) if status is not INTERNAL else None


def _pushback(retry_after: float) -> tuple[str, str]:
    """Make the trailer that the built-in retries of gRPC heed, gRFC A6; they do not read `RetryInfo`.

    It has whole milliseconds, at least one: on 0, gRPC 1.85 for Python waits until the deadline.
    """
    return _PUSHBACK, str(max(1, math.ceil(retry_after * 1000)))


def _bad_request(fields: Mapping[str, str]) -> BadRequest:
    violations = [BadRequest.FieldViolation(field=field, description=text) for field, text in fields.items()]
    return BadRequest(field_violations=violations)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1_000_000_000))
    return duration


def _pack(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
