"""The newest entries of one board, read once for all of its feeds that have read everything else.

It looks at the ledger when it is told that the ledger has moved, and never waits for a feed. What a feed does
not take in time it reads from the record by itself, so the memory is bounded by `_KEPT_MAX`.
"""

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import Context
from typing import Final

import structlog

from score_service.domain.ledger.entry import ALL_KINDS, EntryPage
from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint
from score_service.errors import (
    BoardNotFoundError,
    HistoryArchivedError,
    PositionUnknownError,
    ScoreServiceError,
)
from score_service.projection.projection import Projection
from score_service.record.feed import EntryStore
from score_service.stream.subscription import Subscription
from service_runtime.telemetry.logs import error_fields

PAGE: Final = 500
"""Entries that are read at once. To make them takes 3 ms, in which the process does nothing else."""
_KEPT_MAX: Final = 4
"""Pages."""
_REST_SECONDS: Final = 0.01
"""Between two looks, so that the entries of a busy board come many at once."""
_RETRY_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)


class Tail:
    """The end of the ledger of one board."""

    def __init__(self, board_id: str, store: EntryStore, projection: Projection) -> None:
        self.position = Position.start(board_id)
        """Up to which the ledger was read."""
        self.history = 0
        """Counts how often the ledger turned out to be another one, or archived. Then no position is known
        until the record was asked for it."""
        self.claims = 0
        """Feeds that need it."""
        self._board_id = board_id
        self._store = store
        self._subscription = Subscription(board_id, projection, _RETRY_SECONDS)
        self._kept: deque[EntryPage] = deque(maxlen=_KEPT_MAX)
        self._wanted = 0
        """A revision that the ledger has, as far as was told."""
        self._is_doubtful = False
        """Whether the ledger was seen elsewhere, and not further on."""
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        """Replaced when it is set: who waits for it waits for one move."""
        self._failure: ScoreServiceError | None = None
        self._stopped = False

    async def begin(self) -> None:
        """Go to the end of the ledger, as all synchronous standbys have it.

        Raises:
            BoardNotFoundError: the record does not have the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        start = Position.start(self._board_id)
        page = await self._store.read_page(self._board_id, start, frozenset(), PAGE)
        self._kept.clear()
        self.position = page.upto
        self._wanted = page.upto.revision

    def start(self) -> tuple[asyncio.Task[None], asyncio.Task[None]]:
        """Follow the ledger from now on, in tasks that `stop` ends."""
        self._subscription.add(self)
        # It serves all feeds, so what it logs belongs to no one call.
        self._task = asyncio.create_task(self._follow(), name="tail", context=Context())
        return self._task, self._subscription.start()

    def stop(self) -> None:
        """End the tasks. The flag ends a loop also where a library has lost the cancellation."""
        if not self._stopped:  # A second cancellation would interrupt how the first one cleans up.
            self._stopped = True
            self._subscription.stop()
            self._task.cancel()

    def end(self, failure: ScoreServiceError) -> None:
        """Have every feed fail that waits for entries, or comes to wait for them."""
        self._failure = failure
        self._tell()

    def note(self, hint: Hint) -> None:
        """Take in what was applied to the board."""
        self.expect(hint.after.revision)

    def wake(self) -> None:
        """Do nothing: if hints were lost, the next look at all ledgers finds what they told of."""

    def expect(self, revision: int) -> None:
        """Take in that something was written, up to a revision."""
        if revision > self.position.revision:
            self._wanted = max(self._wanted, revision)
            self._wake.set()

    def see(self, head: Position) -> None:
        """Take in where the ledger was seen."""
        self.expect(head.revision)
        if head.revision <= self.position.revision and head != self.position:
            self._is_doubtful = True
            self._wake.set()

    def find(self, position: Position) -> EntryPage | None:
        """Return the page that goes on from a position of this ledger, or has it within, if it is kept."""
        for page in self._kept:
            if page.after.revision <= position.revision < page.upto.revision:
                return page
        return None

    async def wait(self, position: Position, seconds: float) -> None:
        """Wait until there is more than a position, or the ledger is another one, or for so long.

        Raises:
            ScoreServiceError: what `end` was called with.
        """
        history = self.history
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._failure is None and self._is_at(position, history):
                    await self._moved.wait()
        if self._failure is not None:
            raise self._failure

    def _is_at(self, position: Position, history: int) -> bool:
        return self.history == history and self.position.revision <= position.revision

    async def _follow(self) -> None:
        while not self._stopped:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._is_doubtful or self._wanted > self.position.revision:
                    await self._read()
            except ScoreServiceError as error:
                _log.warning("feed_interrupted", **error_fields(error))
                await self._pause()
            except Exception:  # noqa: BLE001 - Logged whole; it may have passed at the next look.
                _log.exception("feed_failed")
                await self._pause()
            await asyncio.sleep(_REST_SECONDS)

    async def _pause(self) -> None:
        await asyncio.sleep(_RETRY_SECONDS)
        self._wake.set()

    async def _read(self) -> None:
        wanted = self._wanted
        try:
            page = await self._store.read_page(self._board_id, self.position, ALL_KINDS, PAGE)
        except (BoardNotFoundError, HistoryArchivedError, PositionUnknownError):
            await self._begin_anew()
            return
        self._is_doubtful = False
        if not page.is_full and self._wanted == wanted:
            self._wanted = page.upto.revision  # What was told of is lost, or was of another history.
        if page.entries:
            self._kept.append(page)
            self.position = page.upto
            self._tell()

    async def _begin_anew(self) -> None:
        """Go to the end of a ledger that is another one, or archived in between.

        Each feed finds out what that means to it.
        """
        with suppress(BoardNotFoundError):
            await self.begin()
        self._is_doubtful = False
        self.history += 1
        self._tell()

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
