"""A ticket as its bearer sees it: what it says, and the result that it was given for.

An outside issuer signs tickets without asking anyone.
"""

import tomllib
import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from faults.model.history import Asked
from faults.players.claims import change_claims, name_award, read_claims
from score_client.tickets import TicketKey, issue

ACTION_TYPE: Final = "instant"
_LIFETIME_SECONDS: Final = 2
"""Of tickets of an outside issuer: as the gateways of a run give them."""
_TICKETS: Final = uuid.UUID("6c617572-656c-5e8d-9b1c-7469636b650a")


@dataclass(frozen=True)
class Ticket:
    """A right to one award."""

    token: str = field(repr=False)
    result: dict[str, Any]
    """Of the action that it was given for."""
    is_genuine: bool = True
    """Whether it is as a gateway gave it, or as an outside issuer may give it."""
    issuer_name: str = ""
    """The short name of an outside issuer."""

    @cached_property
    def claims(self) -> dict[str, Any]:
        """What it says."""
        return read_claims(self.token)

    @property
    def asked(self) -> Asked:
        """The award that it asks for: of all tickets with the same issuer and `jti`, the same one."""
        claims, name = self.claims, self.issuer_name
        return Asked(
            board_id=claims["board"],
            award_id=str(name_award(_TICKETS, (claims["iss"], claims["jti"]))),
            user_id=f"{name}:{claims['sub']}" if name else claims["sub"],
            points=claims["points"],
            action_type=f"ticket:{name}" if name else ACTION_TYPE,
            action_id=claims["action"],
        )

    def forge(self, **changes: object) -> Self:
        """Have it say something else, under its signature."""
        return replace(self, token=change_claims(self.token, **changes), is_genuine=False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An outside issuer, with users of its own."""

    issuer: str
    name: str
    board_id: str
    points_max: int
    """Of one ticket, as the gateways have it registered."""
    key: TicketKey

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the first issuer that the gateways know; its private key lies beside its key set."""
        registered = tomllib.loads(file.read_text(encoding="utf-8"))["issuer"][0]
        pem = max((file.parent / registered["keys_file"]).parent.glob("*.pem"))
        return cls(
            registered["issuer"],
            registered["name"],
            registered["boards"][0],
            registered["points_max"],
            TicketKey.read(pem, key_id=pem.stem),
        )

    def issue(self, user: str, points: int, ticket_id: str) -> Ticket:
        """Sign a ticket, also one for more points than may be given."""
        result = {"place": 1, "points": points}
        token = issue(
            self.key,
            issuer=self.issuer,
            board_id=self.board_id,
            user_id=user,
            points=points,
            action_id="duel",
            result=result,
            ticket_id=ticket_id,
            lifetime_seconds=_LIFETIME_SECONDS,
        )
        return Ticket(token, result, is_genuine=points <= self.points_max, issuer_name=self.name)
