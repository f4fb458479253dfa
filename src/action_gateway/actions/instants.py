"""Instant actions: they are done when they are asked for, and pay by a ticket that is redeemed once.

The ledger of the score service alone knows which tickets were redeemed. Only where it did not say whether one
was, the gateway keeps that the ticket came in time: it stays good then, whatever the time.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.actions.editions import Editions
from action_gateway.actions.openings import Openings
from action_gateway.actions.payments import Payments
from action_gateway.domain.action import Kind
from action_gateway.domain.payment import Due, EarlierPayment, Payment
from action_gateway.domain.ticket import Ticket
from action_gateway.errors import (
    ActionCompletedError,
    ActionNotFoundError,
    GatewayError,
    InvalidRequestError,
    ScoreServiceDeniedError,
    TicketDataMismatchError,
    TicketExpiredError,
    TicketUsedError,
    UnavailableError,
)
from action_gateway.issuers.allowance import Allowance
from action_gateway.limits.limits import Limits
from action_gateway.request_context import note_action
from action_gateway.store.store import Store
from score_client.tickets import find_digest, find_digest_to_sign


@dataclass(frozen=True, slots=True, repr=False)
class Performance:
    """An instant action that was done, and the ticket for its points."""

    title: str
    result: dict[str, JsonValue]
    token: str
    expires_at: datetime


class Instants:
    """The commands around instant actions. They raise UnavailableError while a part is unavailable."""

    def __init__(
        self,
        *,
        store: Store,
        editions: Editions,
        openings: Openings,
        payments: Payments,
        limits: Limits,
        tickets: ScoreTickets,
        allowance: Allowance,
    ) -> None:
        self._store = store
        self._editions = editions
        self._openings = openings
        self._payments = payments
        self._limits = limits
        self._tickets = tickets
        self._allowance = allowance

    async def perform(self, user_id: str, action_id: str, data: JsonValue) -> Performance:
        """Do an instant action.

        Raises:
            RateLimitedError, ActionNotFoundError: nothing was done. A puzzle cannot be.
            ActionCompletedError: it would not pay.
            InvalidRequestError: `data` cannot be signed, or could not be sent back.
        """
        await self._limits.start(user_id)
        action = await self._editions.get_action(action_id)
        if action.kind is not Kind.INSTANT:
            raise ActionNotFoundError
        note_action(action.action_id)
        await self._limits.perform(user_id, action.action_id, action.per_minute)
        started = await self._openings.begin(action, user_id)
        completion = await self._openings.find_completion(action, started)
        if completion is not None:
            raise ActionCompletedError(completion.outcome)
        performed_at = datetime.fromtimestamp(started.started_at_ms / 1000, UTC)
        result: dict[str, JsonValue] = {
            "actionId": action.action_id,
            "points": action.points,
            "performedAt": performed_at.isoformat(timespec="milliseconds"),
            "data": data,
        }
        token, ticket = self._tickets.issue(started, _sign(result))
        return Performance(action.title, result, token, datetime.fromtimestamp(ticket.expires_at, UTC))

    async def redeem(self, ticket: Ticket, data: JsonValue) -> Payment:
        """Pay for a ticket, once.

        Raises:
            TicketUsedError: it was paid before, which is said whatever else is wrong.
            TicketExpiredError, RateLimitedError, TicketDataMismatchError: it was not paid.
            BadTicketError: it is for a user who is unknown here.
            ScoreLimitError: the points would not fit.
            ScoreServiceDeniedError: the score service does not let this gateway pay so much, or there.
        """
        await self._allowance.check_user(ticket)
        try:
            await self._judge(ticket, data)
        except GatewayError:
            paid = await self._payments.find(ticket.board_id, ticket.award_id)
            if paid is None:
                raise
            raise TicketUsedError(paid.outcome, is_outside=ticket.is_outside) from None
        try:
            made = await self._payments.make(_due(ticket), uuid.uuid4())
        except UnavailableError:
            await self._keep(ticket)
            raise
        except ScoreServiceDeniedError:
            self._allowance.note_denial(ticket)
            raise
        if isinstance(made, EarlierPayment):
            raise TicketUsedError(made.outcome, is_outside=ticket.is_outside)
        return made

    async def _judge(self, ticket: Ticket, data: JsonValue) -> None:
        await self._count(ticket)
        if not _is_signed(data, ticket.digest):
            raise TicketDataMismatchError(is_outside=ticket.is_outside)
        if self._tickets.has_expired(ticket) and not await self._store.is_solved(ticket.award_id):
            raise TicketExpiredError
        await self._allowance.count(ticket)

    async def _count(self, ticket: Ticket) -> None:
        if ticket.is_outside:
            await self._limits.redeem_outside(ticket.user_id, ticket.issuer_name)
        else:
            await self._limits.redeem(ticket.user_id)

    async def _keep(self, ticket: Ticket) -> None:
        """Keep that a ticket was redeemed in time, like an action token that was answered rightly."""
        await self._store.reserve_attempt(
            ticket.award_id,
            user_id=ticket.user_id,
            right=True,
            allowed=1,
            expires_at=datetime.fromtimestamp(ticket.expires_at, UTC),
        )


def _due(ticket: Ticket) -> Due:
    return Due(
        board_id=ticket.board_id,
        award_id=ticket.award_id,
        user_id=ticket.user_id,
        points=ticket.points,
        action_type=ticket.action_type,
        action_id=ticket.action_id,
    )


def _sign(result: JsonValue) -> str:
    try:
        return find_digest_to_sign(result)
    except ValueError as error:
        raise InvalidRequestError({"body.data": str(error)}) from None


def _is_signed(data: JsonValue, digest: str) -> bool:
    try:
        return find_digest(data) == digest
    except ValueError:
        return False
