"""How far a rebuild of a board has come, so that whoever takes it over goes on from there. Pure."""

import re
from dataclasses import dataclass
from typing import Self

from score_service.domain.position import Position

_TEXT = re.compile(r"(\S+) (\S+) ([0-9]{1,19}) ([01]) (\S*)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was loaded, and what is left."""

    replay_from: Position
    """From here on the ledger has to be replayed."""
    read_at: Position
    """Where the ledger stood when the last page was read of which anything was loaded."""
    members: int = 0
    """Standings that were loaded in pages, 0 or more."""
    may_overlap: bool = False
    """Whether users after `last_user_id` may be there: of a page that was begun, or from the ledger."""
    last_user_id: str = ""
    """Of the last page that was loaded to its end; empty before the first."""

    @classmethod
    def begin(cls, head: Position) -> Self:
        """Make the checkpoint before the first page, where the ledger stands at `head`."""
        return cls(head, head)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `str` wrote; None if the text is no checkpoint."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        replay_from, read_at = Position.parse(match[1]), Position.parse(match[2])
        if replay_from is None or read_at is None:
            return None
        return cls(replay_from, read_at, int(match[3]), match[4] == "1", match[5])

    def __str__(self) -> str:
        return f"{self.replay_from} {self.read_at} {self.members} {self.may_overlap:d} {self.last_user_id}"
