"""A ticket as whoever has it sees it: what it says, and the result that it was given for."""

import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self

from faults.model.history import Asked
from faults.players.claims import change_claims, name_award, read_claims

ACTION_TYPE: Final = "instant"
_TICKETS: Final = uuid.UUID("6c617572-656c-5e8d-9b1c-7469636b650a")


@dataclass(frozen=True)
class Ticket:
    """A right to one award."""

    token: str = field(repr=False)
    result: dict[str, Any]
    """Of the action that it was given for."""
    is_genuine: bool = True
    """Whether it is as a gateway gave it."""

    @cached_property
    def claims(self) -> dict[str, Any]:
        """What it says."""
        return read_claims(self.token)

    @property
    def asked(self) -> Asked:
        """The award that it asks for: of all tickets with the same issuer and `jti`, the same one."""
        claims = self.claims
        return Asked(
            board_id=claims["board"],
            award_id=str(name_award(_TICKETS, (claims["iss"], claims["jti"]))),
            user_id=claims["sub"],
            points=claims["points"],
            action_type=ACTION_TYPE,
            action_id=claims["action"],
        )

    def forge(self, **changes: object) -> Self:
        """Have it say something else, under its signature."""
        return replace(self, token=change_claims(self.token, **changes), is_genuine=False)
