"""The boards that the record is known to have, so that reads of other boards alone ask it."""

import asyncio
from contextvars import Context
from functools import partial
from typing import Final

from score_service.errors import BoardNotFoundError, RecordUnavailableError
from score_service.reconcile.failures import log_failure
from score_service.reconcile.headers import Headers
from score_service.record.ledger import Ledger

KNOWN_MAX: Final = 100_000


class KnownBoards:
    """Boards that the record had at the last complete scan, or when they were asked for since."""

    def __init__(self, ledger: Ledger, headers: Headers) -> None:
        self._ledger = ledger
        self._headers = headers
        self._known = set[str]()
        self._confirmations: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, board_id: str) -> bool:
        return board_id in self._known

    async def confirm(self, board_id: str) -> None:
        """Make sure that the record has a board. What Redis has of one that it has not is dropped.

        It asks the record only for boards that are not known, in a task of its own: callers may stop
        waiting. While the record is unavailable, a board is taken to be there.

        Raises:
            BoardNotFoundError: the record does not have the board.
            ProjectionUnavailableError: Redis is unavailable, and was needed.
        """
        if board_id in self._known:
            return
        task = self._confirmations.get(board_id)
        if task is None:
            task = asyncio.create_task(self._confirm(board_id), name="confirmation", context=Context())
            self._confirmations[board_id] = task
            task.add_done_callback(partial(self._end_confirmation, board_id))
        await asyncio.shield(task)

    async def replace(self, board_ids: set[str]) -> None:
        """Take the boards of a complete scan, `KNOWN_MAX` at most; what Redis has of others is dropped."""
        for board_id in self._known - board_ids:
            await self._headers.find(board_id)
        self._known = board_ids

    def _end_confirmation(self, board_id: str, task: asyncio.Task[None]) -> None:
        del self._confirmations[board_id]
        if not task.cancelled():
            task.exception()  # Those that waited have got it, or have left.

    async def _confirm(self, board_id: str) -> None:
        try:
            await self._ledger.read_head(board_id)
        except BoardNotFoundError:
            await self._headers.find(board_id)
            raise
        except RecordUnavailableError as error:
            log_failure(error, board_id)
        if len(self._known) < KNOWN_MAX:
            self._known.add(board_id)
