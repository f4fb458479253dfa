"""What a player can read in an action token, which it does not verify: the award that it is good for."""

import uuid
from datetime import UTC, datetime
from typing import Any, Final

from faults.model.history import Asked
from faults.players.claims import name_award, read_claims

ACTION_TYPE: Final = "puzzle"
_AWARDS: Final = uuid.UUID("6c617572-656c-5e8d-9b1c-61776172640a")


def award_of(token: str) -> Asked:
    """Return which award completing the action asks for."""
    claims = read_claims(token)
    return Asked(
        board_id=claims["board"],
        award_id=str(_name_award(claims)),
        user_id=claims["sub"],
        points=claims["points"],
        action_type=ACTION_TYPE,
        action_id=claims["actionId"],
    )


def _name_award(claims: dict[str, Any]) -> uuid.UUID:
    """Name the award: after the token, or alike for all tokens of what pays once, or once a day."""
    if claims["repeat"] == "unlimited":
        return uuid.UUID(claims["jti"])
    parts = [claims["board"], claims["sub"], claims["actionId"]]
    if claims["repeat"] == "daily":
        parts.append(claims.get("day") or _utc_day(claims["startedAtMs"]))
    return name_award(_AWARDS, parts)


def _utc_day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
