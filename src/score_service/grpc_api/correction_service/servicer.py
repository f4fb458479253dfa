"""The servicer of `CorrectionService`: read, look at what the caller may do, call the core, answer."""
# ruff: noqa: ARG002, N802 - The contract names the methods and their arguments.

from score_api.v1 import correction_service_pb2 as correction_pb
from score_api.v1 import correction_service_pb2_grpc as correction_grpc
from score_service.access.caller import CALLER, require_board
from score_service.boards.corrections.corrector import Corrector
from score_service.boards.corrections.reversal_plans import ReversalPlans
from score_service.grpc_api.calls import ServicerContext
from score_service.grpc_api.correction_service import messages


class CorrectionServicer(correction_grpc.CorrectionServiceServicer):
    """Takes awards back, and hides and shows users."""

    def __init__(self, corrector: Corrector, plans: ReversalPlans) -> None:
        self._corrector = corrector
        self._plans = plans

    async def ReverseAward(
        self, request: correction_pb.ReverseAwardRequest, context: object
    ) -> correction_pb.ReverseAwardResponse:
        """Take an award back, or return the first result."""
        board_id, asked = messages.read_reversal(request)
        require_board(board_id)
        caller = CALLER.get()
        outcome = await self._corrector.reverse(
            board_id, asked, actor=caller.grant.spiffe_id, trace_id=caller.trace_id
        )
        return messages.write_outcome(outcome)

    async def ReverseAwards(
        self, request: correction_pb.ReverseAwardsRequest, context: ServicerContext
    ) -> correction_pb.ReverseAwardsResponse:
        """Return what taking awards back would do, or take them back."""
        asked = messages.read_bulk(request, CALLER.get())
        require_board(asked.board_id)
        if not asked.plan_token:
            return messages.write_plan(await self._plans.plan(asked.board_id, asked.chosen))
        applied = await self._plans.apply(
            asked.board_id,
            asked.chosen,
            asked.plan_token,
            asked.correction,
            timeout_seconds=context.time_remaining(),
        )
        return messages.write_applied(applied)

    async def SetUserVisibility(
        self, request: correction_pb.SetUserVisibilityRequest, context: object
    ) -> correction_pb.SetUserVisibilityResponse:
        """Set who may see a user."""
        asked = messages.read_visibility(request)
        require_board(asked.board_id)
        caller = CALLER.get()
        made = await self._corrector.set_visibility(
            asked.board_id,
            asked.user_id,
            asked.visibility,
            asked.reason,
            actor=caller.grant.spiffe_id,
            on_behalf_of=asked.on_behalf_of,
            trace_id=caller.trace_id,
        )
        return messages.write_visibility(made)
