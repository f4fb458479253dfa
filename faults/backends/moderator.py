"""One moderator: it takes awards back, hides and shows users, and keeps a record of the answers."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from faults.backends.backend import NO_ANSWER
from faults.model.history import Chosen, History, Outcome, PlanCall, ReversalCall, Undone, VisibilityCall
from score_client import (
    AwardFilter,
    AwardNotFoundError,
    AwardReversedError,
    BoardNotFoundError,
    HistoryArchivedError,
    PlanStaleError,
    Reversal,
    ReversalPlan,
    ScoreClient,
    StandingNotFoundError,
    Visibility,
)


@dataclass(frozen=True, slots=True)
class Moderator:
    """One moderator."""

    name: str
    client: ScoreClient
    history: History = field(repr=False)

    async def reverse(self, board_id: str, award_id: str, reversal_id: str) -> ReversalCall:
        """Take an award back, and record how that ended."""
        began = time.monotonic()
        outcome, undone, reason = Outcome.UNKNOWN, None, "left"
        try:
            result = await self.client.reverse_award(
                board_id=board_id,
                award_id=UUID(award_id),
                reversal_id=UUID(reversal_id),
                reason="It was not earned.",
            )
            outcome, undone, reason = Outcome.MADE, _undone(result.reversal), ""
        except AwardReversedError as error:
            outcome, reason = Outcome.REJECTED, error.reason
            undone = _undone(error.reversal) if error.reversal else None
        except (AwardNotFoundError, BoardNotFoundError, HistoryArchivedError) as error:
            outcome, reason = Outcome.REJECTED, error.reason
        except NO_ANSWER as error:
            reason = error.reason
        finally:
            call = ReversalCall(
                caller=self.name,
                board_id=board_id,
                award_id=award_id,
                reversal_id=reversal_id,
                began=began,
                ended=time.monotonic(),
                outcome=outcome,
                undone=undone,
                reason=reason,
            )
            self.history.add(call)
        return call

    async def plan(self, board_id: str, user_id: str, action_id: str) -> ReversalPlan | None:
        """Ask what taking back all awards of a user for an action would change; None without an answer."""
        chosen = AwardFilter(user_id=user_id, action_id=action_id)
        try:
            return await self.client.plan_reversals(board_id=board_id, award_filter=chosen)
        except (BoardNotFoundError, *NO_ANSWER):
            return None

    async def apply(self, plan: ReversalPlan, note: str) -> PlanCall:
        """Take back what a plan chose, and record how that ended."""
        began, chosen = time.monotonic(), plan.award_filter
        outcome, reversals, reason = Outcome.UNKNOWN, 0, "left"
        try:
            reversals = await self.client.apply_reversals(plan, reason=note)
            outcome, reason = Outcome.MADE, ""
        except (BoardNotFoundError, PlanStaleError) as error:
            outcome, reason = Outcome.REJECTED, error.reason
        except NO_ANSWER as error:
            reason = error.reason
        finally:
            call = PlanCall(
                caller=self.name,
                board_id=plan.board_id,
                chosen=Chosen(chosen.user_id, chosen.action_id, plan.revision),
                awards=plan.awards,
                reversals=reversals,
                note=note,
                began=began,
                ended=time.monotonic(),
                outcome=outcome,
                reason=reason,
            )
            self.history.add(call)
        return call

    async def show(self, board_id: str, user_id: str, visibility: Visibility) -> VisibilityCall:
        """Set who may see a user, and record how that ended."""
        began, result = time.monotonic(), None
        outcome, reason = Outcome.UNKNOWN, "left"
        try:
            result = await self.client.set_user_visibility(
                board_id=board_id, user_id=user_id, visibility=visibility, reason="It is looked into."
            )
            outcome, reason = Outcome.MADE, ""
        except (BoardNotFoundError, StandingNotFoundError) as error:
            outcome, reason = Outcome.REJECTED, error.reason
        except NO_ANSWER as error:
            reason = error.reason
        finally:
            call = VisibilityCall(
                caller=self.name,
                board_id=board_id,
                user_id=user_id,
                visibility=visibility.value,
                began=began,
                ended=time.monotonic(),
                outcome=outcome,
                revision=result.revision if result else None,
                position=result.position if result else None,
                reason=reason,
            )
            self.history.add(call)
        return call


def _undone(reversal: Reversal) -> Undone:
    return Undone(
        award_id=str(reversal.award_id),
        reversal_id=str(reversal.reversal_id),
        user_id=reversal.user_id,
        points=reversal.points,
        total=reversal.total,
        revision=reversal.revision,
        position=reversal.position,
    )
