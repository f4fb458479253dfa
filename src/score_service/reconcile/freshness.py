"""What the record has had for a while and the projection lacks, so that nobody gets old ranks for long.

While a board in Redis does not come to what the record had a second ago, whatever the reason, reads and
watches of it are answered by the record. Redis may answer, and still reject to be written to.
"""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

STALE_SECONDS: Final = 1.0
"""For which a projection may lack what the record has and still be read."""
_BOARDS_MAX: Final = 100_000


@dataclass(slots=True)
class _Lack:
    revision: int
    """One that the record has and the projection lacked."""
    since: float
    overdue: int = 0
    """An earlier one that had been lacking for `STALE_SECONDS` when this was noted."""

    def is_due(self, now: float) -> bool:
        return now - self.since >= STALE_SECONDS


class Freshness:
    """The boards whose projection was last seen behind the record."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock that counts seconds and never steps back."""
        self._clock = clock
        self._lacks: dict[str, _Lack] = {}

    def note_lack(self, board_id: str, revision: int) -> None:
        """Take note that the record has a revision of a board, and its projection does not."""
        now, lack = self._clock(), self._lacks.get(board_id)
        if lack is None:
            if len(self._lacks) < _BOARDS_MAX:
                self._lacks[board_id] = _Lack(revision, now)
        elif lack.is_due(now):
            self._lacks[board_id] = _Lack(revision, now, overdue=lack.revision)

    def note_reached(self, board_id: str, revision: int) -> None:
        """Take note that the projection of a board has a revision, and the record was not further."""
        lack = self._lacks.get(board_id)
        if lack and lack.revision <= revision:
            del self._lacks[board_id]

    def keep(self, board_ids: Container[str]) -> None:
        """Forget all other boards: the record does not have them any more."""
        self._lacks = {board_id: lack for board_id, lack in self._lacks.items() if board_id in board_ids}

    def forget(self) -> None:
        """Forget all boards: nobody knows how far the record is, and Redis is read as it is."""
        self._lacks.clear()

    def is_stale(self, board_id: str, revision: int) -> bool:
        """Return whether a projection at a revision lacks what the record had a second ago."""
        lack = self._lacks.get(board_id)
        if lack is None:
            return False
        return revision < (lack.revision if lack.is_due(self._clock()) else lack.overdue)
