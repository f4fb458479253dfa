"""How far a rebuild of a board has come, so that the process that takes it over goes on from there. Pure."""

import re
from dataclasses import dataclass, replace
from typing import Self

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position

_TEXT = re.compile(r"(\S+) (\S+) ([0-9]{1,19}) ([01]) (\S*)(?: (\S+))?")


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
    period_id: str = ALL_TIME
    """Whose pages these are: those of all time come first, then those of each period in the order of ids."""

    def enter(self, period_id: str) -> Self:
        """Make the checkpoint before the first page of a period, unless it is one in the midst of them."""
        return self if period_id == self.period_id else replace(self, period_id=period_id, last_user_id="")

    def is_past(self, period_id: str) -> bool:
        """Return whether all pages of a period were loaded, or of all time."""
        return self.period_id != ALL_TIME and (period_id == ALL_TIME or period_id < self.period_id)

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
        return cls(
            replay_from, read_at, int(match[3]), match[4] == "1", match[5], period_id=match[6] or ALL_TIME
        )

    def __str__(self) -> str:
        pages = f"{self.replay_from} {self.read_at} {self.members} {self.may_overlap:d} {self.last_user_id}"
        return pages if self.period_id == ALL_TIME else f"{pages} {self.period_id}"
