"""Tickets: signed rights to one award each. Pure."""

import uuid
from dataclasses import dataclass
from typing import Final

from action_gateway.domain.action import join_parts

_TICKET_NAMESPACE: Final = uuid.UUID("6c617572-656c-5e8d-9b1c-7469636b650a")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says."""

    issuer: str
    ticket_id: str
    """Of all tickets with the same issuer, board and id, one is paid for."""
    user_id: str
    board_id: str
    points: int
    action_id: str
    digest: str
    """Of the result of the action, as `score_client.tickets.find_digest` makes it."""
    issued_at: int
    """Seconds since 1970."""
    expires_at: int
    """Seconds since 1970."""
    issuer_name: str = ""
    """The short name of an outside issuer; empty for a ticket of this gateway."""

    @property
    def is_outside(self) -> bool:
        """Whether an outside issuer has signed it, who may have made a mistake that is no player's."""
        return bool(self.issuer_name)

    @property
    def action_type(self) -> str:
        """What the ledger calls the kind of its award."""
        return f"ticket:{self.issuer_name}" if self.issuer_name else "instant"

    @property
    def award_id(self) -> uuid.UUID:
        """The name of the award that this is good for."""
        return find_ticket_award_id(self.issuer, self.ticket_id)


def find_ticket_award_id(issuer: str, ticket_id: str) -> uuid.UUID:
    """Name the award that a ticket is good for. The same name can pay only once on a board."""
    return uuid.uuid5(_TICKET_NAMESPACE, join_parts((issuer, ticket_id)))
