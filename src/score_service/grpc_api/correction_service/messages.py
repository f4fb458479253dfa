"""Messages of `CorrectionService` to values of the service and back. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from score_api.v1 import correction_service_pb2 as correction_pb
from score_service.access.caller import Caller
from score_service.access.identity import is_spiffe_id
from score_service.boards.corrections.corrector import ReversalOutcome
from score_service.boards.corrections.reversal_plans import AppliedPlan, Correction, ReversalPlan
from score_service.domain.ledger.history import AwardFilter, RankMove
from score_service.domain.ledger.reversal import ReversalRequest
from score_service.domain.ledger.visibility import Visibility
from score_service.grpc_api.fields import FieldReader
from score_service.grpc_api.messages import write_reversal
from score_service.record.corrections import VisibilitySet

VISIBILITIES: Final = {
    Visibility.VISIBLE: correction_pb.VISIBILITY_VISIBLE,
    Visibility.HIDDEN: correction_pb.VISIBILITY_HIDDEN,
    Visibility.SHADOWED: correction_pb.VISIBILITY_SHADOWED,
}
_OF_NUMBER: Final[Mapping[int, Visibility]] = {
    number: visibility for visibility, number in VISIBILITIES.items()
}
_CALLER_RULE: Final = "must be a SPIFFE id"


class BulkRequest(NamedTuple):
    """A plan that is asked for, or a plan that is to be applied."""

    board_id: str
    chosen: AwardFilter
    plan_token: str
    """Empty for a plan."""
    correction: Correction
    """Who takes back, and why. A plan needs no reason."""


class VisibilityRequest(NamedTuple):
    """A user who is to be hidden or shown."""

    board_id: str
    user_id: str
    visibility: Visibility
    reason: str
    on_behalf_of: str


def read_reversal(request: correction_pb.ReverseAwardRequest) -> tuple[str, ReversalRequest]:
    """Read the board, and which award of it is to be taken back."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    asked = ReversalRequest(
        award_id=fields.uuid("award_id", request.award_id),
        reversal_id=fields.uuid("reversal_id", request.reversal_id),
        reason=fields.reason("reason", request.reason),
        on_behalf_of=fields.optional_identifier("on_behalf_of", request.on_behalf_of),
    )
    fields.finish()
    return board_id, asked


def read_bulk(request: correction_pb.ReverseAwardsRequest, caller: Caller) -> BulkRequest:
    """Read which awards are to be taken back, and whether that is planned or applied."""
    fields, is_plan = FieldReader(), request.validate_only
    board_id = fields.identifier("board_id", request.board_id)
    chosen = _read_filter(fields, request.filter)
    needs_reason = bool(request.reason) or not is_plan
    reason = fields.reason("reason", request.reason) if needs_reason else ""
    on_behalf_of = fields.optional_identifier("on_behalf_of", request.on_behalf_of)
    token = request.plan_token
    rule = "must be empty for a plan" if is_plan else "must be that of a plan, see validate_only"
    fields.require(is_plan != bool(token), "plan_token", rule)
    fields.finish()
    correction = Correction(reason, caller.grant.spiffe_id, on_behalf_of, caller.trace_id)
    return BulkRequest(board_id, chosen, token, correction)


def read_visibility(request: correction_pb.SetUserVisibilityRequest) -> VisibilityRequest:
    """Read who may see which user."""
    fields = FieldReader()
    board_id = fields.identifier("board_id", request.board_id)
    user_id = fields.identifier("user_id", request.user_id)
    visibility = _OF_NUMBER.get(request.visibility)
    fields.require(visibility is not None, "visibility", "must be visible, hidden or shadowed")
    reason = fields.reason("reason", request.reason)
    on_behalf_of = fields.optional_identifier("on_behalf_of", request.on_behalf_of)
    fields.finish()
    return VisibilityRequest(board_id, user_id, visibility or Visibility.VISIBLE, reason, on_behalf_of)


def write_outcome(outcome: ReversalOutcome) -> correction_pb.ReverseAwardResponse:
    """Write what became of a reversal."""
    return correction_pb.ReverseAwardResponse(
        reversal=write_reversal(outcome.reversal), rank=outcome.rank, replayed=outcome.replayed
    )


def write_plan(plan: ReversalPlan) -> correction_pb.ReverseAwardsResponse:
    """Write what a plan would do."""
    token = plan.token
    return correction_pb.ReverseAwardsResponse(
        awards=token.awards,
        points=token.points,
        users=token.users,
        moves=_write_moves(plan.found.moves),
        plan_token=token.text,
        revision=token.position.revision,
    )


def write_applied(applied: AppliedPlan) -> correction_pb.ReverseAwardsResponse:
    """Write how far a plan has come."""
    token = applied.token
    return correction_pb.ReverseAwardsResponse(
        awards=token.awards,
        points=token.points,
        users=token.users,
        plan_token=token.text,
        reversed=applied.reversed,
        revision=token.position.revision,
    )


def write_visibility(made: VisibilitySet) -> correction_pb.SetUserVisibilityResponse:
    """Write who may see a user now."""
    return correction_pb.SetUserVisibilityResponse(
        visibility=VISIBILITIES[made.visibility],
        before=VISIBILITIES[made.before],
        revision=made.revision,
        position=str(made.position),
    )


def _read_filter(fields: FieldReader, chosen: correction_pb.AwardFilter) -> AwardFilter:
    fields.require(bool(chosen.ListFields()), "filter", "must have one field at least")
    fields.require(not chosen.caller or is_spiffe_id(chosen.caller), "filter.caller", _CALLER_RULE)
    first = _read_instant(fields, chosen, "recorded_from")
    end = _read_instant(fields, chosen, "recorded_until")
    in_order = first is None or end is None or first < end
    fields.require(in_order, "filter.recorded_until", "must be after recorded_from")
    return AwardFilter(
        caller=chosen.caller or None,
        action_id=fields.optional_identifier("filter.action_id", chosen.action_id) or None,
        action_type=fields.optional_identifier("filter.action_type", chosen.action_type) or None,
        user_id=fields.optional_identifier("filter.user_id", chosen.user_id) or None,
        recorded_from=first,
        recorded_until=end,
    )


def _read_instant(fields: FieldReader, chosen: correction_pb.AwardFilter, name: str) -> datetime | None:
    return fields.instant(f"filter.{name}", getattr(chosen, name)) if chosen.HasField(name) else None  # type: ignore[arg-type]


def _write_moves(moves: Iterable[RankMove]) -> list[correction_pb.RankMove]:
    return [
        correction_pb.RankMove(
            user_id=move.user_id,
            total_before=move.total_before,
            total_after=move.total_after,
            rank_before=move.rank_before,
            rank_after=move.rank_after,
        )
        for move in moves
    ]
