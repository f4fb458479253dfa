"""What a projection says when it has moved.

A hint may get lost; the ledger has it all.
"""

from dataclasses import dataclass

import structlog

from score_service.domain.position import Position
from score_service.domain.standing import Standing

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hint:
    """What was just applied."""

    before: Position
    after: Position
    standings: tuple[Standing, ...]
    """Of the users that changed."""


def read_hint(text: str) -> Hint | None:
    """Read what `apply_changes.lua` publishes: a line of positions, a line of ranks, and a line a user.

    Returns:
        None for what is no hint. Anyone who may publish could have sent it, also a newer version.
    """
    try:
        positions, ranks, *lines = text.split("\n")
        before, before_mark, after, after_mark = positions.split(" ")
        standings = tuple(
            Standing(user_id, int(total), int(rank), int(reached))
            for rank, (user_id, total, reached) in zip(
                ranks.split(" "), (line.split(" ") for line in lines), strict=True
            )
        )
        return Hint(Position(int(before), before_mark), Position(int(after), after_mark), standings)
    except ValueError:
        _log.warning("hint_malformed")
        return None
