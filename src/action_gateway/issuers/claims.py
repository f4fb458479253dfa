"""What the tickets of an outside issuer may say. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from action_gateway.accounts.score_tickets import LEEWAY_SECONDS
from action_gateway.domain.ticket import Ticket
from action_gateway.issuers.issuer import Issuer
from action_gateway.issuers.rejections import Reason, RejectedError
from score_client.tickets import IDENTIFIER, TICKET_ID

_Seconds = Annotated[int, Field(ge=0, le=2**40)]
_Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER.pattern}$")]


class _Claims(BaseModel):
    # Claims that nobody knows are to be ignored (RFC 7519, 4).
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    sub: str
    jti: Annotated[str, Field(pattern=f"^{TICKET_ID.pattern}$")]
    board: _Identifier
    points: int
    action: _Identifier
    digest: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    iat: _Seconds
    nbf: _Seconds
    exp: _Seconds


_REASONS: Final = {"jti": Reason.TICKET_ID, "sub": Reason.USER_ID}
"""For claims that are not of their form, where it is not `BAD_CLAIMS`."""


def read_ticket(claims: Mapping[str, Any], issuer: Issuer, now: float) -> Ticket:
    """Read a ticket whose signature is the issuer's. Its time may be over.

    Args:
        claims: What it says.
        issuer: Who has signed it.
        now: Seconds since 1970.

    Raises:
        RejectedError: a claim is not of its form, or the issuer may not give this.
    """
    try:
        said = _Claims.model_validate(claims)
    except ValidationError as error:
        claim = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0]
        raise RejectedError(_REASONS.get(str(claim), Reason.BAD_CLAIMS)) from None
    if (reason := _find_fault(said, issuer, now)) is not None:
        raise RejectedError(reason)
    return Ticket(
        issuer=issuer.issuer,
        ticket_id=said.jti,
        user_id=issuer.find_user_id(said.sub),
        board_id=said.board,
        points=said.points,
        action_id=said.action,
        digest=said.digest,
        issued_at=max(said.iat, said.nbf),
        expires_at=said.exp,
        issuer_name=issuer.name,
    )


def _find_fault(said: _Claims, issuer: Issuer, now: float) -> Reason | None:
    faults = {
        Reason.USER_ID: not said.sub or IDENTIFIER.fullmatch(issuer.find_user_id(said.sub)) is None,
        Reason.BOARD: said.board not in issuer.boards,
        Reason.POINTS: not 1 <= said.points <= issuer.points_max,
        Reason.BAD_CLAIMS: not said.iat <= said.nbf < said.exp,
        Reason.LIFETIME: said.exp - said.iat > issuer.lifetime_seconds,
        Reason.NOT_YET: said.nbf > now + LEEWAY_SECONDS,
    }
    return next((reason for reason, is_at_fault in faults.items() if is_at_fault), None)
