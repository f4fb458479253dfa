"""One feed: the entries of a board after a position, for one reader, as fast as it takes them.

Invariants:
- Entries come in order, each once, and none is left out of the kinds that are asked for.
- Nothing is read before the reader has taken what was read last, so a slow one costs one page, and holds up
  nobody.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from score_service.domain.ledger.entry import ALL_KINDS, Entry, EntryPage, FeedRequest
from score_service.domain.ledger.position import Position
from score_service.feed.tail import Tail

_FILTERED_SECONDS: Final = 1.0
"""After which a reader is told how far the ledger is, where it has nothing of what the reader wants."""

ReadPage = Callable[[FeedRequest], Awaitable[EntryPage]]


class Delivery(NamedTuple):
    """Entries of a page for one reader."""

    page: EntryPage | None
    """None where only the position is told."""
    entries: Sequence[Entry]
    position: Position
    """Where the reader is then."""


class Feed:
    """The entries that one reader has yet to be sent."""

    def __init__(
        self, request: FeedRequest, tail: Tail, read_page: ReadPage, checkpoint_seconds: float
    ) -> None:
        """Take what is asked for, the end of the ledger, and how to read what is before that."""
        self._request = request
        self._tail = tail
        self._read_page = read_page
        self._checkpoint_seconds = checkpoint_seconds
        self._position = request.after
        self._history = -1
        """The history of the tail in which the position is known; -1 before that was asked."""
        self._told = request.after
        """What the reader knows of the position."""
        self._told_at = -math.inf

    async def deliveries(self) -> AsyncGenerator[Delivery]:
        """Yield what there is, and what comes, and from time to time only how far the ledger is.

        Raises:
            BoardNotFoundError: the record does not have the board.
            HistoryArchivedError: entries after the position are archived, or were before they were read.
            PositionUnknownError: the ledger did not go through the position, or does not any more.
            RecordUnavailableError: PostgreSQL is unavailable.
            ShuttingDownError: this process is stopping.
        """
        clock = asyncio.get_running_loop().time
        while True:
            page = await self._next_page()
            entries = self._choose(page) if page else ()
            if page:
                self._position = page.upto
            if entries:
                yield Delivery(page, entries, self._position)
                self._told, self._told_at = Position(entries[-1].revision, entries[-1].mark), clock()
            elif clock() >= self._told_at + self._seconds_to_checkpoint():
                yield Delivery(None, (), self._position)
                self._told, self._told_at = self._position, clock()

    async def _next_page(self) -> EntryPage | None:
        """Return the next page, or None if none came before the reader is to be told the position."""
        if self._history != self._tail.history:
            return await self._read()
        if page := self._tail.find(self._position):
            return page
        if self._position.revision < self._tail.position.revision:
            return await self._read()
        now = asyncio.get_running_loop().time()
        await self._tail.wait(self._position, max(0.0, self._told_at + self._seconds_to_checkpoint() - now))
        if self._history != self._tail.history:
            return await self._read()
        return self._tail.find(self._position)

    async def _read(self) -> EntryPage:
        history = self._tail.history
        request = self._request
        page = await self._read_page(FeedRequest(request.board_id, self._position, request.kinds))
        self._history = history
        return page

    def _choose(self, page: EntryPage) -> Sequence[Entry]:
        """Return what the reader wants of a page and does not have."""
        kinds, after = self._request.kinds, self._position.revision
        if kinds == ALL_KINDS:
            return page.entries[after - page.after.revision :]
        return [entry for entry in page.entries if entry.revision > after and entry.kind in kinds]

    def _seconds_to_checkpoint(self) -> float:
        return self._checkpoint_seconds if self._told == self._position else _FILTERED_SECONDS
