"""Tickets in the `Authorization` header, looked at before anything else of a request."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import Request

from action_gateway.domain.ticket import Ticket
from action_gateway.edge.authentication import find_token
from action_gateway.errors import BadTicketError, UnauthenticatedError
from action_gateway.issuers.outside_tickets import AnyTickets
from action_gateway.request_context import note_action, note_user

_scheme = HTTPBearer(
    scheme_name="scoreTicket",
    bearerFormat="JWT",
    description="A ticket, good for one score update",
    auto_error=False,
)


async def present(request: Request, _: Annotated[object, Depends(_scheme)]) -> Ticket:
    """Return the ticket of a request. Raises BadTicketError."""
    return find_ticket(request.app.state.score_tickets, request.headers)


CurrentTicket = Annotated[Ticket, Depends(present)]
"""A parameter of this type makes a route want a ticket. It belongs before all others."""


def find_ticket(tickets: AnyTickets, headers: Headers) -> Ticket:
    """Return the ticket in the headers of a request. Raises BadTicketError."""
    try:
        token = find_token(headers.getlist("authorization"))
    except UnauthenticatedError:
        raise BadTicketError from None
    ticket = tickets.verify(token)
    note_user(ticket.user_id)
    note_action(ticket.action_id)
    return ticket
