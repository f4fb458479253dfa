"""The feeds of this process, and the tails that they share.

One statement a look tells where all ledgers with feeds stand. It finds what no hint told of: one was lost,
Redis is unavailable, or the record was restored.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self
from weakref import WeakValueDictionary

import structlog

from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.entry import EntryPage, FeedRequest
from score_service.domain.ledger.position import Position
from score_service.errors import ScoreServiceError, ShuttingDownError, WatcherEvictedError
from score_service.feed.feed import Delivery, Feed
from score_service.feed.tail import PAGE, Tail
from score_service.projection.projection import Projection
from score_service.record.feed import EntryStore
from service_runtime.lifecycle import end_tasks
from service_runtime.telemetry.logs import error_fields

_READS_MAX: Final = 3
"""Pages that are read at once for feeds that are behind: each takes a connection that awards need too."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """How often things are looked at and sent, and how many feeds there may be."""

    poll_seconds: float = 0.05
    """Between two looks at the ledgers with feeds."""
    checkpoint_seconds: float = 15.0
    """Between two messages of a feed, at most."""
    feeds_max: int = 100


class EntryFeeds:
    """The open feeds."""

    def __init__(
        self, store: EntryStore, projection: Projection, settings: FeedSettings | None = None
    ) -> None:
        self._store = store
        self._projection = projection
        self._settings = settings or FeedSettings()
        self.open = 0
        """Number of open feeds."""
        self.sent = 0
        """Entries that were given to feeds."""
        self._tails: dict[str, Tail] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Of the tails, also of those that are ending."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._reads = asyncio.Semaphore(_READS_MAX)
        self._has_tails = asyncio.Event()
        self._closed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serve feeds, and end them all at the end."""
        polling = asyncio.create_task(self._poll(), name="feeds")
        try:
            yield self
        finally:
            self.close()
            await end_tasks(polling)
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """End every feed, and begin no other."""
        self._closed = True
        for tail in self._tails.values():
            tail.end(ShuttingDownError())
            tail.stop()

    def note(self, changes: Changes) -> None:
        """Take in what this process has written, so that feeds have it at once."""
        if tail := self._tails.get(changes.board_id):
            tail.expect(changes.after.revision)

    async def read(self, request: FeedRequest) -> AsyncGenerator[Delivery]:
        """Yield the entries after a position, and then those that come.

        Raises:
            BoardNotFoundError: the record does not have the board.
            HistoryArchivedError: entries after the position are archived, or were before they were read.
            PositionUnknownError: its ledger did not go through the position, or does not any more.
            RecordUnavailableError: PostgreSQL is unavailable, and was needed.
            ShuttingDownError: this process is stopping.
            WatcherEvictedError: there are too many feeds.
        """
        async with self._counted(), self._claimed(request.board_id) as tail:
            feed = Feed(request, tail, self._read_page, self._settings.checkpoint_seconds)
            async with aclosing(feed.deliveries()) as deliveries:
                async for delivery in deliveries:
                    self.sent += len(delivery.entries)
                    yield delivery

    async def _read_page(self, request: FeedRequest) -> EntryPage:
        async with self._reads:
            return await self._store.read_page(request.board_id, request.after, request.kinds, PAGE)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        if self._closed:
            raise ShuttingDownError
        if self.open >= self._settings.feeds_max:
            raise WatcherEvictedError
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    @asynccontextmanager
    async def _claimed(self, board_id: str) -> AsyncIterator[Tail]:
        """Find the tail of a board or start it, and stop it when no feed needs it any more."""
        async with self._locks.setdefault(board_id, asyncio.Lock()):
            tail = self._tails.get(board_id) or await self._start(board_id)
            tail.claims += 1
        try:
            yield tail
        finally:
            tail.claims -= 1
            if tail.claims == 0:
                del self._tails[board_id]
                tail.stop()

    async def _start(self, board_id: str) -> Tail:
        tail = Tail(board_id, self._store, self._projection)
        await tail.begin()
        if self._closed:
            raise ShuttingDownError
        self._tails[board_id] = tail
        for task in tail.start():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._has_tails.set()
        return tail

    async def _poll(self) -> None:
        while True:
            await self._has_tails.wait()
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                await self._look()
            except ScoreServiceError as error:
                _log.warning("feeds_interrupted", **error_fields(error))
            except Exception:  # noqa: BLE001 - Logged whole; it may have passed at the next look.
                _log.exception("feeds_failed")

    async def _look(self) -> None:
        if not self._tails:
            self._has_tails.clear()
            return
        heads = await self._store.list_heads(list(self._tails))
        for board_id, tail in self._tails.items():
            tail.see(heads.get(board_id, Position.start(board_id)))
