"""The one table from errors to what the caller sees."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc import StatusCode

from score_api.v1 import types_pb2 as types_pb
from score_api.v1.error_reason_pb2 import ErrorReason
from score_service import errors
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import Reversal
from score_service.errors import (
    FaultyFieldsError,
    QuotaExceededError,
    ScoreServiceError,
)
from score_service.grpc_api.status import TABLE, error_status_of, to_award_error, to_status

CUT = Position(9, "00112233aabbccdd")


def status_of(error: BaseException) -> Status:
    return Status.FromString(dict(to_status(error).trailing_metadata or ())["grpc-status-details-bin"])


def pushback(error: BaseException) -> str | bytes | None:
    return dict(to_status(error).trailing_metadata or ()).get("grpc-retry-pushback-ms")


def detail(status: Status, kind: type) -> Any:
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            return message
    return None


def leaves(kind: type[ScoreServiceError]) -> list[type[ScoreServiceError]]:
    below = [leaf for sub in kind.__subclasses__() for leaf in leaves(sub)]
    return below or [kind]


def test_every_error_of_the_tree_has_its_row() -> None:
    assert set(TABLE) == set(leaves(ScoreServiceError))


def test_every_reason_is_one_of_the_contract_and_used_once() -> None:
    contract = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name}
    reasons = [outcome.reason for outcome in TABLE.values()]
    assert set(reasons) | {"INTERNAL"} == contract - {"UNSPECIFIED"}
    assert len(reasons) == len(set(reasons))


@pytest.mark.parametrize("kind", list(TABLE))
def test_an_error_carries_its_reason_and_its_public_text(kind: type[ScoreServiceError]) -> None:
    made: ScoreServiceError
    if issubclass(kind, FaultyFieldsError):
        made = kind({"a": "is wrong"})
    elif kind is QuotaExceededError:
        made = QuotaExceededError(1.5)
    elif kind is errors.AwardArchivedError:
        made = errors.AwardArchivedError(7)
    elif kind is errors.HistoryArchivedError:
        made = errors.HistoryArchivedError(CUT)
    else:
        made = kind()
    status = status_of(made)
    info = detail(status, ErrorInfo)
    assert (info.reason, info.domain) == (TABLE[kind].reason, "laurel")
    assert status.code == TABLE[kind].code.value[0]
    assert status.message == str(made)


@pytest.mark.parametrize("kind", [kind for kind in TABLE if issubclass(kind, FaultyFieldsError)])
def test_every_fault_of_a_request_is_a_field_violation(kind: type[FaultyFieldsError]) -> None:
    bad = detail(status_of(kind({"a": "is wrong", "b[1]": "too"})), BadRequest)
    violations = bad.field_violations
    assert [(v.field, v.description) for v in violations] == [("a", "is wrong"), ("b[1]", "too")]


def test_what_is_reversed_by_another_reversal_is_told_which() -> None:
    reversal = Reversal(
        reversal_id="r",
        award_id="a",
        award_revision=1,
        user_id="ada",
        points=5,
        total=7,
        revision=3,
        position=Position(3, "00112233aabbccdd"),
        reason="a reason",
        actor="spiffe://a/b",
        on_behalf_of="",
        recorded_at=datetime(2026, 11, 30, tzinfo=UTC),
        final_periods=("day:2026-11-29",),
    )
    told = detail(status_of(errors.AwardReversedError(reversal)), types_pb.Reversal)
    assert (told.reversal_id, told.award_id, told.position) == ("r", "a", "3-00112233aabbccdd")
    assert list(told.final_periods) == ["day:2026-11-29"]


def test_what_is_archived_is_told_with_the_revision_or_the_position_that_says_how_far() -> None:
    award = detail(status_of(errors.AwardArchivedError(7)), ErrorInfo)
    assert dict(award.metadata) == {"revision": "7"}
    history = detail(status_of(errors.HistoryArchivedError(CUT)), ErrorInfo)
    assert dict(history.metadata) == {"archived_position": "9-00112233aabbccdd"}


def test_an_award_of_a_batch_is_told_what_a_call_is_told() -> None:
    told = to_award_error(errors.AwardArchivedError(7))
    assert (told.code, told.reason) == (StatusCode.ALREADY_EXISTS.value[0], "AWARD_ARCHIVED")
    assert dict(told.metadata) == {"revision": "7"}
    assert not to_award_error(errors.AwardConflictError()).metadata


def test_a_quota_has_a_time_to_retry() -> None:
    retry = detail(status_of(QuotaExceededError(1.5)), RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 1500


@pytest.mark.parametrize(
    "kind", [errors.NotAllowedError, errors.AwardConflictError, errors.BoardNotFoundError]
)
def test_what_a_retry_cannot_help_does_not_ask_for_one(kind: type[ScoreServiceError]) -> None:
    assert detail(status_of(kind()), RetryInfo) is None
    assert pushback(kind()) is None


@pytest.mark.parametrize(
    ("error", "milliseconds"),
    [
        (QuotaExceededError(1.5), "1500"),
        (QuotaExceededError(0.0001), "1"),
        (errors.ShuttingDownError(), "1"),
        (errors.OverloadedError(), "1000"),
    ],
)
def test_where_a_retry_helps_a_trailer_tells_the_retries_built_into_grpc(
    error: ScoreServiceError, milliseconds: str
) -> None:
    assert pushback(error) == milliseconds


@pytest.mark.parametrize(
    "error", [RuntimeError("password=hunter2"), KeyError("/etc/secret"), ScoreServiceError("SELECT secret")]
)
def test_an_unknown_error_reveals_nothing(error: Exception) -> None:
    assert error_status_of(error).code is StatusCode.INTERNAL
    status = status_of(error)
    assert status.message == "The service has failed. It has been logged."
    assert b"secret" not in status.SerializeToString()
    assert b"hunter2" not in status.SerializeToString()
