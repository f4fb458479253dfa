"""What a call can end with other than its answer.

ScoreClientError
├── InvalidRequestError       a field is not as the contract says; `fields` names it
│   └── OccurredAtOutOfRangeError  `occurred_at` is in the future, or too long ago for this caller
├── NotAuthenticatedError     the client's certificate does not carry exactly one identity
├── NotAllowedError           the policy does not allow this identity to do this
├── NotFoundError
│   ├── BoardNotFoundError
│   ├── AwardNotFoundError
│   ├── StandingNotFoundError
│   └── PeriodUnknownError
├── PeriodClosedError         the award comes too late for its period, and the board refuses those
├── PeriodOpenError           the settings would alter a period that is open
├── AwardConflictError        the award id was used for something else
├── AwardArchivedError        the award was made before, and is archived; `revision` is where it stands
├── AwardReversedError        another reversal of the award stands; `reversal` is that one
├── PlanStaleError            a plan of reversals does not hold any more
├── PositionUnknownError      the position is not of the board's ledger
├── HistoryArchivedError      what was asked for is archived; from `archived_position` on there is everything
├── TotalOutOfRangeError      the user's total would pass 2^53-1
├── QuotaExceededError        too many awards or points; `retry_after` says when to try again
├── UnavailableError          no answer in time, also not after retries; an award's outcome is unknown
├── ServiceFaultError         the service failed in a way it should not; an award's outcome is unknown
├── CredentialsError          files of certificates or keys are missing, broken or do not belong together
└── ClientClosedError         the client is not open: not entered yet, or left already

Every failure of this library is one of these; `asyncio.CancelledError` passes through untouched. The
table below is the only place where a status of the wire becomes an exception.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_status import rpc_status

from score_api.v1 import types_pb2
from score_api.v1.score_service_pb2 import AwardError
from score_client.types import Reversal

DOMAIN = "laurel"
_REVISION = re.compile(r"[0-9]{1,19}")

_Detail = TypeVar("_Detail", bound=Message)


class ScoreClientError(Exception):
    """The root of all errors of this library.

    Attributes:
        reason: A stable word for programs: the contract's reason, or the name of the gRPC status if the
            answer carried no reason.
        message: A sentence for people. It may change between versions.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class InvalidRequestError(ScoreClientError):
    """The request is not as the contract says. Nothing was done, and a retry would end the same.

    Attributes:
        fields: What is wrong with each field at fault, by the field's name.
    """

    def __init__(self, reason: str, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(reason, message)
        self.fields = dict(fields or {})


class OccurredAtOutOfRangeError(InvalidRequestError):
    """The time of the award is in the future, or longer ago than the policy allows. It was not made."""


class NotAuthenticatedError(ScoreClientError):
    """The client's certificate does not carry exactly one SPIFFE URI."""


class NotAllowedError(ScoreClientError):
    """The service's policy does not allow this caller this method, board or size."""


class NotFoundError(ScoreClientError):
    """What was asked for does not exist."""


class BoardNotFoundError(NotFoundError):
    """No award was ever made on this board."""


class AwardNotFoundError(NotFoundError):
    """The board has no award with this id."""


class StandingNotFoundError(NotFoundError):
    """The user has no award on this board."""


class PeriodUnknownError(NotFoundError):
    """The board has no such period, or it has not begun."""


class PeriodClosedError(ScoreClientError):
    """A period that the award belongs to is closed, and the board refuses late awards. It was not made."""


class PeriodOpenError(ScoreClientError):
    """The settings would alter a period that is open. The message says from when they can hold."""


class AwardConflictError(ScoreClientError):
    """The award id was used before with another user, action or points. The first award stands."""


class AwardArchivedError(ScoreClientError):
    """The award was made before, and is archived: its points were given, and are not given again.

    Nothing else is known of it, so also not whether the id was used for the same.

    Attributes:
        revision: The award's number in the board's ledger; None if the answer did not carry it.
    """

    def __init__(self, reason: str, message: str, revision: int | None = None) -> None:
        super().__init__(reason, message)
        self.revision = revision


class AwardReversedError(ScoreClientError):
    """Another reversal of this award stands, or the reversal id was used for another award.

    Attributes:
        reversal: The reversal that stands; None if the answer did not carry it.
    """

    def __init__(self, reason: str, message: str, reversal: Reversal | None = None) -> None:
        super().__init__(reason, message)
        self.reversal = reversal


class PlanStaleError(ScoreClientError):
    """The plan is not of this filter, or settings or history of the board are others by now. Plan again."""


class PositionUnknownError(ScoreClientError):
    """The position is not of the board's ledger, which was restored to an earlier state."""


class HistoryArchivedError(ScoreClientError):
    """What was asked for is archived, and the service does not have it any more.

    Attributes:
        archived_position: The position after which the service has all entries; empty if the answer did not
            carry it. A feed may go on there once its reader has what is before it from elsewhere.
    """

    def __init__(self, reason: str, message: str, archived_position: str = "") -> None:
        super().__init__(reason, message)
        self.archived_position = archived_position


class TotalOutOfRangeError(ScoreClientError):
    """The award would take the user's total past 2^53-1. It was not made."""


class _LaterError(ScoreClientError):
    """A failure after which the service may say when to try again.

    Attributes:
        retry_after: Seconds to wait before the next try, or None if the service did not say.
    """

    def __init__(self, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class QuotaExceededError(_LaterError):
    """The caller's quota is used up. Nothing was done; try again after `retry_after` seconds."""


class UnavailableError(_LaterError):
    """No answer within the time, also not by trying again.

    Whether an award was made is unknown: ask for it, or send it again with the same award id and the
    same request id.
    """


class ServiceFaultError(ScoreClientError):
    """The service failed in a way it should not, or its answer makes no sense.

    Whether an award was made is unknown.
    """


class CredentialsError(ScoreClientError):
    """Files of certificates or keys are missing, cannot be read, or do not belong together."""


class ClientClosedError(ScoreClientError):
    """The client was used outside of its `async with` block."""


_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

_REVERSED = (grpc.StatusCode.ALREADY_EXISTS, "AWARD_REVERSED")

# None stands for every other reason, and for an answer without one.
EXCEPTIONS: Mapping[tuple[grpc.StatusCode, str | None], type[ScoreClientError]] = {
    (grpc.StatusCode.INVALID_ARGUMENT, "OCCURRED_AT_OUT_OF_RANGE"): OccurredAtOutOfRangeError,
    (grpc.StatusCode.INVALID_ARGUMENT, None): InvalidRequestError,
    (grpc.StatusCode.UNAUTHENTICATED, None): NotAuthenticatedError,
    (grpc.StatusCode.PERMISSION_DENIED, None): NotAllowedError,
    (grpc.StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"): BoardNotFoundError,
    (grpc.StatusCode.NOT_FOUND, "AWARD_NOT_FOUND"): AwardNotFoundError,
    (grpc.StatusCode.NOT_FOUND, "STANDING_NOT_FOUND"): StandingNotFoundError,
    (grpc.StatusCode.NOT_FOUND, "PERIOD_UNKNOWN"): PeriodUnknownError,
    (grpc.StatusCode.NOT_FOUND, None): NotFoundError,
    (grpc.StatusCode.FAILED_PRECONDITION, "PERIOD_CLOSED"): PeriodClosedError,
    (grpc.StatusCode.FAILED_PRECONDITION, "PERIOD_OPEN"): PeriodOpenError,
    (grpc.StatusCode.FAILED_PRECONDITION, "PLAN_STALE"): PlanStaleError,
    (grpc.StatusCode.FAILED_PRECONDITION, "POSITION_UNKNOWN"): PositionUnknownError,
    _REVERSED: AwardReversedError,
    (grpc.StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED"): AwardArchivedError,
    (grpc.StatusCode.ALREADY_EXISTS, None): AwardConflictError,
    (grpc.StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED"): HistoryArchivedError,
    (grpc.StatusCode.OUT_OF_RANGE, None): TotalOutOfRangeError,
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"): QuotaExceededError,
    # An evicted watcher, a server that sheds load, an answer over the size limit.
    (grpc.StatusCode.RESOURCE_EXHAUSTED, None): UnavailableError,
    (grpc.StatusCode.UNAVAILABLE, None): UnavailableError,
    (grpc.StatusCode.DEADLINE_EXCEEDED, None): UnavailableError,
    # Never the caller's own cancellation: that one is an asyncio.CancelledError.
    (grpc.StatusCode.CANCELLED, None): UnavailableError,
}


class _Details(NamedTuple):
    """What is told besides reason and message."""

    fields: Mapping[str, str]
    retry_after: float | None
    metadata: Mapping[str, str]


def from_rpc_error(error: grpc.aio.AioRpcError) -> ScoreClientError:
    """Turn the status a call ended with into the exception that says the same."""
    status = _status(error)
    info = _detail(status, ErrorInfo)
    ours = info if info and info.domain == DOMAIN else ErrorInfo()
    reason = ours.reason or None
    if (error.code(), reason) == _REVERSED:
        return AwardReversedError("AWARD_REVERSED", error.details() or "", _reversal(status))
    details = _Details(_fields(status), _retry_after(status), ours.metadata)
    return _make(error.code(), reason, error.details() or "", details)


def from_award_error(error: AwardError) -> ScoreClientError:
    """Turn what is told of one award in a batch into the exception that says the same."""
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    retry_after = max(0.0, error.retry_after_seconds) if error.HasField("retry_after_seconds") else None
    details = _Details(error.fields, retry_after, error.metadata)
    return _make(code, error.reason or None, error.message, details)


def _make(code: grpc.StatusCode, reason: str | None, message: str, details: _Details) -> ScoreClientError:
    kind = EXCEPTIONS.get((code, reason)) or EXCEPTIONS.get((code, None), ServiceFaultError)
    name = reason or code.name
    if issubclass(kind, InvalidRequestError):
        return kind(name, message, details.fields)
    if issubclass(kind, _LaterError):
        return kind(name, message, details.retry_after)
    if kind is AwardArchivedError:
        return AwardArchivedError(name, message, _revision(details.metadata))
    if kind is HistoryArchivedError:
        return HistoryArchivedError(name, message, details.metadata.get("archived_position", ""))
    return kind(name, message)


def _status(error: grpc.aio.AioRpcError) -> Status:
    try:
        return rpc_status.from_call(error) or Status()  # type: ignore[arg-type]
    except (ValueError, DecodeError):  # Details that contradict the status are worth nothing.
        return Status()


def _detail(status: Status, kind: type[_Detail]) -> _Detail | None:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            try:
                return kind.FromString(packed.value)
            except DecodeError:
                return None
    return None


def _reversal(status: Status) -> Reversal | None:
    message = _detail(status, types_pb2.Reversal)
    try:
        return Reversal.of(message) if message else None
    except (ValueError, OverflowError):
        return None


def _revision(metadata: Mapping[str, str]) -> int | None:
    text = metadata.get("revision", "")
    return int(text) if _REVISION.fullmatch(text) else None


def _fields(status: Status) -> dict[str, str]:
    bad = _detail(status, BadRequest) or BadRequest()
    return {violation.field: violation.description for violation in bad.field_violations}


def _retry_after(status: Status) -> float | None:
    retry = _detail(status, RetryInfo)
    if retry is None:
        return None
    seconds: float = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return max(0.0, seconds)
