"""Messages of `ScoreService` to values of the service and back. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from score_api.v1 import score_service_pb2 as score_pb
from score_service.domain.ledger.award import MAX_BATCH, MAX_POINTS, Award, AwardOutcome
from score_service.grpc_api.fields import FieldReader

_BOARDS_MAX: Final = 16
"""Boards in one batch."""


def read_award(
    request: score_pb.AwardPointsRequest, caller: str, trace_id: str, new_request_id: Callable[[], str]
) -> Award:
    """Read an award; a request without an id of its own gets the new one."""
    fields, asked = FieldReader(), request.award
    award = Award(
        board_id=fields.identifier("award.board_id", asked.board_id),
        award_id=fields.uuid("award.award_id", asked.award_id),
        user_id=fields.identifier("award.user_id", asked.user_id),
        points=fields.number("award.points", asked.points, 1, MAX_POINTS),
        action_type=fields.identifier("award.action_type", asked.action_type),
        action_id=fields.identifier("award.action_id", asked.action_id),
        request_id=fields.uuid("request_id", request.request_id) if request.request_id else new_request_id(),
        caller=caller,
        trace_id=fields.trace_id("trace_id", request.trace_id) or trace_id,
        occurred_at=fields.instant("award.occurred_at", asked.occurred_at)
        if asked.HasField("occurred_at")
        else None,
    )
    fields.finish()
    return award


def read_batch(request: score_pb.BatchAwardPointsRequest) -> Sequence[score_pb.AwardPointsRequest]:
    """Read the requests of a batch, each of which stands for itself."""
    fields, requests = FieldReader(), request.requests
    fields.require(1 <= len(requests) <= MAX_BATCH, "requests", f"must have 1 to {MAX_BATCH} entries")
    boards = {asked.award.board_id for asked in requests}
    fields.require(len(boards) <= _BOARDS_MAX, "requests", f"must be on at most {_BOARDS_MAX} boards")
    fields.finish()
    return requests


def read_award_name(request: score_pb.GetAwardRequest) -> tuple[str, str]:
    """Read the board and the id of an award."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    award_id = fields.uuid("award_id", request.award_id)
    fields.finish()
    return board_id, award_id


def write_result(outcome: AwardOutcome) -> score_pb.AwardResult:
    """Write what became of an award."""
    recorded = outcome.recorded
    return score_pb.AwardResult(
        award_id=recorded.award_id,
        revision=recorded.revision,
        position=str(recorded.position),
        points=recorded.points,
        total=recorded.total,
        rank=outcome.rank,
        replayed=outcome.replayed,
        reversed=recorded.reversed,
    )
