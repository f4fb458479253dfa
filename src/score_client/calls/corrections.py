"""Calls that take awards back, hide users and look back.

What they change is exactly once by an id of its own, so each may be sent again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID, uuid4

from grpc.aio import UnaryUnaryMultiCallable

from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1 import ledger_service_pb2 as ledger
from score_client.calls.marshal import (
    canonical_filter,
    canonical_uuid,
    canonical_visibility,
    decode_awards_view,
    decode_plan,
    decode_reversal_result,
    decode_visibility,
    encode,
)
from score_client.errors import ServiceFaultError
from score_client.transport.connection import Stubs
from score_client.types import (
    AwardFilter,
    AwardsView,
    ReversalPlan,
    ReversalResult,
    Visibility,
    VisibilityResult,
)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class CorrectionCalls(ABC):
    """The calls, for a client that can make one.

    Each takes a `reason`, 1 to 500 characters for those who look back, and may name the person that it is
    made for in `on_behalf_of`. Both stand in the ledger for ever.
    """

    @abstractmethod
    async def _call(
        self, method: Callable[[Stubs], UnaryUnaryMultiCallable[_Request, _Response]], request: _Request
    ) -> _Response: ...

    async def reverse_award(
        self,
        *,
        board_id: str,
        award_id: UUID,
        reason: str,
        reversal_id: UUID | None = None,
        on_behalf_of: str = "",
    ) -> ReversalResult:
        """Take an award back, exactly once for each (`board_id`, `reversal_id`).

        The standing of its user becomes what it would be had the award never been made. A period whose
        result is final keeps it, and lists the reversal.

        Args:
            board_id: The board.
            award_id: The award.
            reason: Why.
            reversal_id: Names the reversal on its board for ever. By default a new one.
            on_behalf_of: For whom.

        Raises:
            AwardNotFoundError: The board has no such award.
            BoardNotFoundError: There is no such board.
            AwardReversedError: Another reversal of the award stands, or the id is one of another award.
            HistoryArchivedError: The award is archived, and was not taken back before.
            UnavailableError, ServiceFaultError: The outcome is unknown; call again with the same ids.
        """
        request = encode(
            corrections.ReverseAwardRequest,
            board_id=board_id,
            award_id=canonical_uuid("award_id", award_id),
            reversal_id=canonical_uuid("reversal_id", uuid4() if reversal_id is None else reversal_id),
            reason=reason,
            on_behalf_of=on_behalf_of,
        )
        return decode_reversal_result(await self._call(lambda stubs: stubs.corrections.ReverseAward, request))

    async def plan_reversals(self, *, board_id: str, award_filter: AwardFilter) -> ReversalPlan:
        """Return what taking back all awards of a filter would change, and change nothing.

        Raises:
            BoardNotFoundError: There is no such board.
            InvalidRequestError: The filter selects everything, or more awards than one plan may have.
        """
        request = encode(
            corrections.ReverseAwardsRequest,
            board_id=board_id,
            filter=canonical_filter(award_filter),
            validate_only=True,
        )
        response = await self._call(lambda stubs: stubs.corrections.ReverseAwards, request)
        return decode_plan(board_id, award_filter, response)

    async def apply_reversals(
        self,
        plan: ReversalPlan,
        *,
        reason: str,
        on_behalf_of: str = "",
        on_progress: Callable[[int], None] = lambda _reversed: None,
    ) -> int:
        """Take back the awards of a plan. Awards that were made since the plan are none of it.

        It works in steps. Where one fails the steps before it hold, and the same call goes on.

        Args:
            plan: What to do.
            reason: Why.
            on_behalf_of: For whom.
            on_progress: Called after each step with how many awards of the plan are reversed now.

        Returns:
            How many awards of the plan are reversed now, by this call or before.

        Raises:
            PlanStaleError: Settings or history of the board are others than at the plan.
            UnavailableError, ServiceFaultError: How much was done is unknown; call again.
        """
        request = encode(
            corrections.ReverseAwardsRequest,
            board_id=plan.board_id,
            filter=canonical_filter(plan.award_filter),
            reason=reason,
            on_behalf_of=on_behalf_of,
            plan_token=plan.token,
        )
        done = -1
        while True:
            response = await self._call(lambda stubs: stubs.corrections.ReverseAwards, request)
            on_progress(response.reversed)
            if response.reversed >= response.awards:
                return response.reversed
            if response.reversed <= done:
                raise ServiceFaultError("MALFORMED_ANSWER", "The service makes no progress.")
            done = response.reversed

    async def set_user_visibility(
        self,
        *,
        board_id: str,
        user_id: str,
        visibility: Visibility,
        reason: str,
        on_behalf_of: str = "",
    ) -> VisibilityResult:
        """Set who may see a user on a board. A hidden user goes on collecting points.

        Raises:
            StandingNotFoundError: The user has no award on this board.
            BoardNotFoundError: There is no such board.
        """
        request = encode(
            corrections.SetUserVisibilityRequest,
            board_id=board_id,
            user_id=user_id,
            visibility=canonical_visibility("visibility", visibility),
            reason=reason,
            on_behalf_of=on_behalf_of,
        )
        return decode_visibility(await self._call(lambda stubs: stubs.corrections.SetUserVisibility, request))

    async def list_awards(
        self, *, board_id: str, user_id: str = "", page_size: int = 50, page_token: str = ""
    ) -> AwardsView:
        """Return a page of the awards of a board, or of one user on it, newest first, without archived ones.

        Raises:
            BoardNotFoundError: There is no such board.
        """
        request = encode(
            ledger.ListAwardsRequest,
            board_id=board_id,
            user_id=user_id,
            page_size=page_size,
            page_token=page_token,
        )
        return decode_awards_view(await self._call(lambda stubs: stubs.ledger.ListAwards, request))
