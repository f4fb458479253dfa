"""Tickets of outside issuers: each is verified with the keys of who it says has issued it, and no others."""

from functools import partial
from typing import Any

import jwt
from jwt.exceptions import InvalidJTIError, InvalidSubjectError

from action_gateway.accounts.score_tickets import ScoreTickets
from action_gateway.accounts.token_kind import verify_token
from action_gateway.domain.clock import Clock
from action_gateway.domain.ticket import Ticket
from action_gateway.errors import BadTicketError
from action_gateway.issuers.claims import read_ticket
from action_gateway.issuers.issuer import Issuer, IssuerKey
from action_gateway.issuers.register import Register
from action_gateway.issuers.rejections import FORGED, UNKNOWN, Reason, RejectedError, Rejections
from score_client.tickets import AUDIENCE, TYPE


class OutsideTickets:
    """Checks tickets of outside issuers."""

    def __init__(self, register: Register, rejections: Rejections, clock: Clock) -> None:
        self._register = register
        self._rejections = rejections
        self._clock = clock

    def verify(self, token: str, issuer: str) -> Ticket:
        """Read a ticket that says that this issuer has signed it. Its time may be over.

        Raises:
            BadTicketError: it is not the issuer's, or the issuer may not give this. It counts as forged where
                no registered issuer can have made a mistake.
        """
        if (found := self._register.find(issuer)) is None:
            raise self._reject(UNKNOWN, Reason.UNKNOWN_ISSUER)
        try:
            return read_ticket(self._verify(token, found), found, self._clock())
        except RejectedError as error:
            raise self._reject(found.name, error.reason) from None

    def _reject(self, issuer_name: str, reason: Reason) -> BadTicketError:
        self._rejections.note(issuer_name, reason)
        return BadTicketError(forged=reason in FORGED)

    def _verify(self, token: str, issuer: Issuer) -> dict[str, Any]:
        try:
            _, claims = verify_token(
                token, partial(self._get_key, issuer), issuer=issuer.issuer, typ=TYPE, audience=AUDIENCE
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise RejectedError(_find_reason(error)) from None
        return claims

    def _get_key(self, issuer: Issuer, key_id: str) -> IssuerKey:
        if (key := self._register.find_key(issuer.issuer, key_id)) is None:
            raise RejectedError(Reason.UNKNOWN_KEY)
        return key


class AnyTickets:
    """Checks tickets of all issuers."""

    def __init__(self, own: ScoreTickets, outside: OutsideTickets) -> None:
        self._own = own
        self._outside = outside

    def verify(self, token: str) -> Ticket:
        """Read a ticket. Its time may be over. Raises BadTicketError."""
        try:
            return self._own.verify(token)
        except BadTicketError:
            issuer = _read_issuer(token)
            if issuer is None or issuer == self._own.issuer:
                raise
        return self._outside.verify(token, issuer)


def _find_reason(error: Exception) -> Reason:
    match error:
        case (
            jwt.MissingRequiredClaimError()
            | jwt.InvalidAudienceError()
            | InvalidSubjectError()
            | InvalidJTIError()
        ):
            return Reason.BAD_CLAIMS
        case jwt.DecodeError():
            return Reason.BAD_SIGNATURE
    return Reason.BAD_HEADER


def _read_issuer(token: str) -> str | None:
    """Return who a token says has issued it, which proves nothing; None where it says nothing of the kind."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError):
        return None
    return issuer if isinstance(issuer, str) else None
