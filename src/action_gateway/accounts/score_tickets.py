"""Score tickets: what an instant action gives, and what a score update is paid for.

They are signed with the keys of action tokens, and differ in `typ` and `aud`.
"""

from collections.abc import Container
from typing import Final

import jwt

from action_gateway.accounts.keys import KeyFolder
from action_gateway.accounts.token_kind import TokenKind, Verified, is_readable
from action_gateway.domain.action import StartedAction, find_award_id
from action_gateway.domain.clock import Clock
from action_gateway.domain.ticket import Ticket
from action_gateway.errors import BadTicketError
from score_client.tickets import AUDIENCE, TYPE, make_claims

LEEWAY_SECONDS: Final = 5
"""The clocks of who issues and who redeems a ticket may differ by this much."""


class ScoreTickets:
    """Makes and checks tickets."""

    def __init__(
        self, keys: KeyFolder, *, issuer: str, lifetime: int, clock: Clock, departed: Container[str] = ()
    ) -> None:
        """Take the lifetime in seconds, and the users who have left, whose tickets count no more."""
        self._kind = TokenKind(keys, issuer, typ=TYPE, audience=AUDIENCE)
        self._verified = Verified[Ticket](keys)
        self.issuer = issuer
        self._lifetime = lifetime
        self._clock = clock
        self._departed = departed

    def issue(self, started: StartedAction, digest: str) -> tuple[str, Ticket]:
        """Make a ticket for an action that was done just when it began, with this digest of its result."""
        issued_at = started.started_at_ms // 1000
        ticket = Ticket(
            issuer=self.issuer,
            ticket_id=str(find_award_id(started)),
            user_id=started.user_id,
            board_id=started.board_id,
            points=started.points,
            action_id=started.action_id,
            digest=digest,
            issued_at=issued_at,
            expires_at=issued_at + self._lifetime,
        )
        key, token = self._kind.sign(
            make_claims(
                ticket_id=ticket.ticket_id,
                user_id=ticket.user_id,
                board_id=ticket.board_id,
                points=ticket.points,
                action_id=ticket.action_id,
                digest=digest,
                issued_at=issued_at,
                lifetime_seconds=self._lifetime,
            )
        )
        self._verified.keep(token, key, ticket)
        return token, ticket

    def verify(self, token: str) -> Ticket:
        """Read a ticket. Its time may be over.

        Raises:
            BadTicketError: it is no ticket of ours, it is from the future, or its user has left.
        """
        ticket = self._verified.find(token) or self._verify(token)
        if ticket.issued_at > self._clock() + LEEWAY_SECONDS or ticket.user_id in self._departed:
            raise BadTicketError
        return ticket

    def has_expired(self, ticket: Ticket) -> bool:
        """Return whether the time of a ticket is over."""
        return self._clock() >= ticket.expires_at + LEEWAY_SECONDS

    def _verify(self, token: str) -> Ticket:
        try:
            key, claims = self._kind.verify(token)
            ticket = Ticket(
                issuer=claims["iss"],
                ticket_id=claims["jti"],
                user_id=claims["sub"],
                board_id=claims["board"],
                points=claims["points"],
                action_id=claims["action"],
                digest=claims["digest"],
                issued_at=max(claims["iat"], claims["nbf"]),
                expires_at=claims["exp"],
            )
        except (jwt.PyJWTError, KeyError, ValueError):
            raise BadTicketError(forged=is_readable(token)) from None
        self._verified.keep(token, key, ticket)
        return ticket
