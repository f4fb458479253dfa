"""From the status of a call to the exception that says the same."""

import pickle

import grpc
import pytest
from grpc import StatusCode

from conformance.server.scripted import make_status
from score_api.v1.error_reason_pb2 import ErrorReason
from score_api.v1.score_service_pb2 import AwardError
from score_client import (
    AwardArchivedError,
    AwardConflictError,
    AwardNotFoundError,
    AwardReversedError,
    BoardNotFoundError,
    HistoryArchivedError,
    InvalidRequestError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    OccurredAtOutOfRangeError,
    PeriodClosedError,
    PeriodOpenError,
    PeriodUnknownError,
    PlanStaleError,
    PositionUnknownError,
    QuotaExceededError,
    ScoreClientError,
    ServiceFaultError,
    StandingNotFoundError,
    TotalOutOfRangeError,
    UnavailableError,
)
from score_client.errors import from_award_error, from_rpc_error

CONTRACT = {
    "INVALID_FIELD": (StatusCode.INVALID_ARGUMENT, InvalidRequestError),
    "IDENTITY_MISSING": (StatusCode.UNAUTHENTICATED, NotAuthenticatedError),
    "CERTIFICATE_EXPIRED": (StatusCode.UNAUTHENTICATED, NotAuthenticatedError),
    "NOT_ALLOWED": (StatusCode.PERMISSION_DENIED, NotAllowedError),
    "QUOTA_EXCEEDED": (StatusCode.RESOURCE_EXHAUSTED, QuotaExceededError),
    "OVERLOADED": (StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
    "AWARD_CONFLICT": (StatusCode.ALREADY_EXISTS, AwardConflictError),
    "AWARD_ARCHIVED": (StatusCode.ALREADY_EXISTS, AwardArchivedError),
    "AWARD_REVERSED": (StatusCode.ALREADY_EXISTS, AwardReversedError),
    "PLAN_STALE": (StatusCode.FAILED_PRECONDITION, PlanStaleError),
    "POSITION_UNKNOWN": (StatusCode.FAILED_PRECONDITION, PositionUnknownError),
    "HISTORY_ARCHIVED": (StatusCode.OUT_OF_RANGE, HistoryArchivedError),
    "TOTAL_OUT_OF_RANGE": (StatusCode.OUT_OF_RANGE, TotalOutOfRangeError),
    "BOARD_NOT_FOUND": (StatusCode.NOT_FOUND, BoardNotFoundError),
    "AWARD_NOT_FOUND": (StatusCode.NOT_FOUND, AwardNotFoundError),
    "STANDING_NOT_FOUND": (StatusCode.NOT_FOUND, StandingNotFoundError),
    "PERIOD_UNKNOWN": (StatusCode.NOT_FOUND, PeriodUnknownError),
    "PERIOD_CLOSED": (StatusCode.FAILED_PRECONDITION, PeriodClosedError),
    "PERIOD_OPEN": (StatusCode.FAILED_PRECONDITION, PeriodOpenError),
    "OCCURRED_AT_OUT_OF_RANGE": (StatusCode.INVALID_ARGUMENT, OccurredAtOutOfRangeError),
    "TIME_ZONE_UNKNOWN": (StatusCode.INVALID_ARGUMENT, InvalidRequestError),
    "SEASONS_OVERLAP": (StatusCode.INVALID_ARGUMENT, InvalidRequestError),
    "RECORD_UNAVAILABLE": (StatusCode.UNAVAILABLE, UnavailableError),
    "PROJECTION_UNAVAILABLE": (StatusCode.UNAVAILABLE, UnavailableError),
    "CONNECTION_AGED": (StatusCode.UNAVAILABLE, UnavailableError),
    "SHUTTING_DOWN": (StatusCode.UNAVAILABLE, UnavailableError),
    "WATCHER_EVICTED": (StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
    "INTERNAL": (StatusCode.INTERNAL, ServiceFaultError),
}


def ended_with(status: grpc.Status) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata(*status.trailing_metadata)
    return grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), trailing, details=status.details)


def test_every_reason_of_the_contract_is_known_here() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name}

    assert reasons - {"UNSPECIFIED"} == set(CONTRACT)


@pytest.mark.parametrize(("reason", "code", "kind"), [(r, *rest) for r, rest in CONTRACT.items()])
def test_a_reason_becomes_its_exception(reason: str, code: StatusCode, kind: type[ScoreClientError]) -> None:
    error = from_rpc_error(ended_with(make_status(code, reason)))

    assert (type(error), error.reason, error.message) == (kind, reason, "As scripted.")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (StatusCode.INVALID_ARGUMENT, InvalidRequestError),
        (StatusCode.NOT_FOUND, NotFoundError),
        (StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
        (StatusCode.DEADLINE_EXCEEDED, UnavailableError),
        (StatusCode.CANCELLED, UnavailableError),
        (StatusCode.UNKNOWN, ServiceFaultError),
        (StatusCode.UNIMPLEMENTED, ServiceFaultError),
        (StatusCode.DATA_LOSS, ServiceFaultError),
    ],
)
def test_a_status_without_a_reason_is_named_after_itself(
    code: StatusCode, kind: type[ScoreClientError]
) -> None:
    error = from_rpc_error(ended_with(make_status(code)))

    assert (type(error), error.reason) == (kind, code.name)


def test_a_reason_of_another_domain_is_not_ours() -> None:
    status = make_status(StatusCode.NOT_FOUND, "BOARD_NOT_FOUND", domain="example.com")

    assert type(from_rpc_error(ended_with(status))) is NotFoundError


def test_a_reason_of_a_later_version_falls_back_to_its_status() -> None:
    error = from_rpc_error(ended_with(make_status(StatusCode.NOT_FOUND, "SEASON_NOT_FOUND")))

    assert (type(error), error.reason) == (NotFoundError, "SEASON_NOT_FOUND")


def test_fields_at_fault_are_named() -> None:
    error = from_rpc_error(
        ended_with(make_status(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields={"top_n": "too big"}))
    )

    assert isinstance(error, InvalidRequestError)
    assert error.fields == {"top_n": "too big"}


@pytest.mark.parametrize(("asked", "reported"), [(None, None), (0.25, 0.25), (-0.5, 0.0)])
def test_the_retry_time_is_reported(asked: float | None, reported: float | None) -> None:
    error = from_rpc_error(
        ended_with(make_status(StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", retry_after=asked))
    )

    assert isinstance(error, QuotaExceededError)
    assert error.retry_after == reported


@pytest.mark.parametrize(
    ("metadata", "revision"),
    [({"revision": "7"}, 7), ({}, None), ({"revision": "-7"}, None), ({"revision": "9" * 20}, None)],
)
def test_an_archived_award_is_told_with_its_revision_where_the_answer_has_one(
    metadata: dict[str, str], revision: int | None
) -> None:
    status = make_status(StatusCode.ALREADY_EXISTS, "AWARD_ARCHIVED", metadata=metadata)
    item = AwardError(
        code=StatusCode.ALREADY_EXISTS.value[0], reason="AWARD_ARCHIVED", message="No.", metadata=metadata
    )

    for error in (from_rpc_error(ended_with(status)), from_award_error(item)):
        assert isinstance(error, AwardArchivedError)
        assert error.revision == revision


@pytest.mark.parametrize("position", ["9-00112233aabbccdd", ""])
def test_an_archived_history_is_told_with_the_position_after_it_where_the_answer_has_one(
    position: str,
) -> None:
    metadata = {"archived_position": position} if position else {}
    error = from_rpc_error(
        ended_with(make_status(StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED", metadata=metadata))
    )

    assert isinstance(error, HistoryArchivedError)
    assert error.archived_position == position


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff",
        dict(make_status(StatusCode.INTERNAL, "INTERNAL").trailing_metadata)["grpc-status-details-bin"],
    ],
)
def test_malformed_details_are_left_out(details: bytes) -> None:
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", details))
    error = from_rpc_error(grpc.aio.AioRpcError(StatusCode.UNAVAILABLE, grpc.aio.Metadata(), trailing))

    assert (type(error), error.reason, error.message) == (UnavailableError, "UNAVAILABLE", "")


def test_an_error_reads_as_reason_and_message() -> None:
    assert str(NotAllowedError("NOT_ALLOWED", "The caller is not allowed to do this.")) == (
        "NOT_ALLOWED: The caller is not allowed to do this."
    )


@pytest.mark.parametrize(
    "error",
    [
        NotAllowedError("NOT_ALLOWED", "No."),
        InvalidRequestError("INVALID_FIELD", "No.", {"top_n": "too big"}),
        UnavailableError("UNAVAILABLE", "Later.", 1.5),
        AwardArchivedError("AWARD_ARCHIVED", "No.", 7),
        HistoryArchivedError("HISTORY_ARCHIVED", "No.", "9-00112233aabbccdd"),
    ],
)
def test_an_error_can_be_pickled(error: ScoreClientError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), vars(copy)) == (type(error), vars(error))
