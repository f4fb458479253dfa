"""What a plan of reversals is known by, as the opaque text that clients carry. Pure.

Everything that an apply needs is in the text, so that any process can apply a plan of any other. It is no
secret and not signed: a caller that may apply a plan may choose what it has.
"""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import Final

from score_service.domain.ledger.history import AwardFilter
from score_service.domain.ledger.position import Position
from score_service.domain.tokens.opaque_text import read_opaque, write_opaque
from score_service.errors import InvalidRequestError

_DIGEST_DIGITS: Final = 32
_NUMBER: Final = r"(0|[1-9][0-9]{0,17})"
_TEXT: Final = re.compile(
    rf"([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}) (\S+) {_NUMBER} ([0-9a-f]{{{_DIGEST_DIGITS}}})"
    rf" {_NUMBER} {_NUMBER} {_NUMBER}"
)


@dataclass(frozen=True, slots=True)
class PlanToken:
    """A plan, without what it selected."""

    plan_id: str
    """A UUID."""
    position: Position
    """Where the ledger stood. What came later is not in the plan."""
    settings_revision: int
    """Of the settings that the board had."""
    selection: str
    """See `name_selection`."""
    awards: int
    points: int
    users: int

    @property
    def text(self) -> str:
        """Write it."""
        parts = (self.plan_id, self.position, self.settings_revision, self.selection)
        return write_opaque(" ".join(map(str, (*parts, self.awards, self.points, self.users))))

    def reversal_id(self, award_id: str) -> str:
        """Return the id of the reversal of an award, which is the same however often the plan is applied."""
        return str(uuid.uuid5(uuid.UUID(self.plan_id), award_id))


def read_plan_token(text: str) -> PlanToken:
    """Read a token.

    Raises:
        InvalidRequestError: the token is none that was given here.
    """
    match = _TEXT.fullmatch(read_opaque(text))
    position = Position.parse(match[2]) if match else None
    if match is None or position is None:
        raise InvalidRequestError({"plan_token": "not a token that was given here"})
    awards, points, users = map(int, match.group(5, 6, 7))
    return PlanToken(match[1], position, int(match[3]), match[4], awards, points, users)


def name_selection(board_id: str, chosen: AwardFilter) -> str:
    """Return a digest of a board and a filter: 32 hex digits."""
    times = [instant and instant.isoformat() for instant in (chosen.recorded_from, chosen.recorded_until)]
    fields = [board_id, chosen.caller, chosen.action_id, chosen.action_type, chosen.user_id, *times]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:_DIGEST_DIGITS]
