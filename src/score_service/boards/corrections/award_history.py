"""Looks back at the awards of a board: what was given to whom, by whom and when, and what was taken back.

Nothing is kept or shared: who looks back has often just corrected something.
"""

from typing import Final

from score_service.boards.corrections.slots import Slots
from score_service.domain.ledger.history import AwardPage
from score_service.errors import BoardNotFoundError
from score_service.record.boards import BoardStore
from score_service.record.history import History
from score_service.record.ledger import MAX_REVISION

_AT_ONCE: Final = 2
_WAITING_MAX: Final = 200


class AwardHistory:
    """Reads awards of the ledger, the newest first."""

    def __init__(self, history: History, boards: BoardStore) -> None:
        self._history = history
        self._boards = boards
        self._slots = Slots(_AT_ONCE, _WAITING_MAX)

    async def list_awards(
        self, board_id: str, user_id: str | None, limit: int, before_revision: int | None = None
    ) -> AwardPage:
        """Read awards of a board after its cut, or of one user on it.

        Args:
            board_id: the board.
            user_id: whose; None for all.
            limit: how many, at most.
            before_revision: only what is older; None for the newest.

        Raises:
            BoardNotFoundError: there is no such board.
            OverloadedError: too many wait.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        before = MAX_REVISION if before_revision is None else before_revision
        async with self._slots.take():
            page = await self._history.list_awards(board_id, user_id, before, limit)
            if not page.awards and await self._boards.find(board_id) is None:
                raise BoardNotFoundError
            return page
