"""The routes of instant actions and their tickets."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends

from action_gateway import errors
from action_gateway.actions.instants import Instants
from action_gateway.edge.authentication import CurrentUser
from action_gateway.edge.operations import Operation, add_operation, body_of
from action_gateway.edge.suspicions import Suspicions
from action_gateway.edge.ticket_bearer import CurrentTicket, find_ticket
from action_gateway.issuers.outside_tickets import AnyTickets
from action_gateway.routes import schemas
from action_gateway.routes.rejections import OPENING, SCORING

PerformingBody = Annotated[schemas.Performing, Depends(body_of(schemas.Performing))]
ScoreUpdateBody = Annotated[schemas.ScoreUpdate, Depends(body_of(schemas.ScoreUpdate))]


class TicketRoutes:
    """The routes that give a ticket, and redeem one."""

    def __init__(self, instants: Instants, tickets: AnyTickets, suspicions: Suspicions) -> None:
        self._instants = instants
        self._tickets = tickets
        self._suspicions = suspicions

    def router(self) -> APIRouter:
        """Return the routes, relative to the prefix of the API."""
        router = APIRouter(tags=["actions"])
        add_operation(
            router,
            "/actions/perform",
            self.perform_action,
            schemas.Performing,
            OPENING,
        )
        add_operation(
            router,
            "/score/update",
            self.update_score,
            schemas.ScoreUpdate,
            (
                errors.BadTicketError,
                errors.TicketExpiredError,
                errors.TicketUsedError,
                errors.TicketDataMismatchError,
                errors.ScoreLimitError,
                *SCORING,
            ),
        )
        return router

    def direct_calls(self) -> dict[str, Operation]:
        """Return the operations that are called most, by path relative to the prefix of the API."""
        return {
            "/actions/perform": Operation(self.perform_action, schemas.Performing),
            "/score/update": Operation(
                self.update_score, schemas.ScoreUpdate, identify=partial(find_ticket, self._tickets)
            ),
        }

    async def perform_action(self, user: CurrentUser, body: PerformingBody) -> schemas.Performed:
        """Perform an instant action, which gives a ticket for its points."""
        performance = await self._instants.perform(user.user_id, body.action_id, body.data)
        return schemas.Performed(
            message=f"Done: {performance.title}",
            result=performance.result,
            token=performance.token,
            expires_at=performance.expires_at,
        )

    async def update_score(self, ticket: CurrentTicket, body: ScoreUpdateBody) -> schemas.ScoreUpdated:
        """Redeem a ticket, which pays its points once."""
        payment = await self._instants.redeem(ticket, body.data)
        if not ticket.is_outside:
            self._suspicions.note_payment(ticket.user_id, payment.points)
        return schemas.ScoreUpdated(
            message="The points are yours.",
            score_increase=payment.points,
            new_total_score=payment.total,
            new_rank=payment.rank,
        )
