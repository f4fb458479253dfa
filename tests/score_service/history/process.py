"""A process of the service that can be kept waiting before any step, and killed."""

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from tests.fixtures.ledgers.boards import QUICK
from tests.fixtures.ledgers.periods import LedgerClock
from tests.fixtures.ledgers.steps import Stepped
from tests.fixtures.servers.stores import NO_RETRIES
from tests.score_service.history.record import RecordKeeper

from score_service.boards.awards.scheduler import Scheduler
from score_service.boards.awards.scoring import Scoring
from score_service.boards.corrections.corrector import Corrector
from score_service.boards.standings.leaderboard import Leaderboard
from score_service.boards.standings.period_finder import PeriodFinder
from score_service.boards.standings.shared_reads import RecordReader, RecordReaderSettings
from score_service.closing.archiver import Archiver
from score_service.closing.closer import Closer
from score_service.errors import ProjectionUnavailableError, ScoreServiceError
from score_service.feed.entry_feeds import EntryFeeds, FeedSettings
from score_service.operations.ledgers.archiver import LedgerArchiver
from score_service.projection.projection import Projection
from score_service.projection.redis_servers import ServersSettings
from score_service.projection.scripts import Cache
from score_service.reconcile.projector import Projector
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.record.boards import BoardStore
from score_service.record.corrections import Corrections
from score_service.record.database import Database
from score_service.record.feed import EntryStore
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.results import Results
from score_service.record.standings import Standings
from score_service.stream.feeds import Feeds
from score_service.stream.hubs import Hubs

_PATIENCE: Final = 30.0
"""Much longer than anything takes: time decides nothing here."""
HUBS: Final = replace(QUICK, checkpoint_seconds=0.1)
"""Where a commit changes nobody who is watched, only a checkpoint tells how far the ledger is."""
_FEEDS: Final = FeedSettings(poll_seconds=0.02)


@dataclass(frozen=True)
class Stores:
    """The servers, and where a board's keys are."""

    database: Database
    redis_url: str
    cache: ServersSettings
    prefix: str
    record: RecordKeeper
    clock: LedgerClock
    archiver: LedgerArchiver


class Gate:
    """What each step of a process towards its stores passes: it may be kept waiting, and ends with it."""

    def __init__(self) -> None:
        self.dead = asyncio.Event()
        self._steps = 0
        self._happen: Callable[[], Awaitable[None]] | None = None

    def arm(self, steps: int, happen: Callable[[], Awaitable[None]] | None) -> None:
        self._steps, self._happen = steps, happen

    async def __call__(self, _step: str) -> None:
        task = asyncio.current_task()
        if task and task.get_name() == "confirmation":
            return  # A watch may have asked for it, at any time.
        if self._happen is not None:
            happen, self._happen = (self._happen, None) if self._steps == 0 else (None, self._happen)
            self._steps -= 1
            if happen is not None:
                await happen()
        if self.dead.is_set():
            raise asyncio.CancelledError


class Process:
    """The parts of one process of the service, put together as it does, with a gate before its stores."""

    def __init__(self, stores: Stores, cache: Cache, now: Callable[[], dt.datetime]) -> None:
        """Take the time of day as this process has it."""
        self.gate = Gate()
        self._is_apart = False
        ledger, standings = Ledger(stores.database), Standings(stores.database)
        projection = Projection(cache, cache, stores.prefix)
        periods = PeriodStore(stores.database)
        corrections = Corrections(stores.database)
        gated: Any = [Stepped(store, self.gate) for store in (ledger, standings, periods, corrections)]
        gated_ledger, gated_standings, gated_periods, gated_corrections = gated
        gated_projection: Any = Stepped(projection, self._reach)
        self.rebuilder = Rebuilder(
            gated_ledger, gated_standings, gated_periods, gated_projection, NO_RETRIES, page_size=2
        )
        self.projector = Projector(gated_ledger, gated_projection, self.rebuilder, timeout_seconds=_PATIENCE)
        self._periods = gated_periods
        archiver = Archiver(gated_periods, page=2)
        self._closer = Closer(BoardStore(stores.database), gated_periods, archiver, self.projector)
        scheduler = Scheduler(gated_periods, now)
        self.scoring = Scoring(gated_ledger, self.projector, scheduler, rank_seconds=_PATIENCE)
        reader, results = RecordReader(RecordReaderSettings(keep_seconds=0)), Results(stores.database)
        # What it found is old at once, so that time decides nothing here.
        finder = PeriodFinder(ledger, periods, reader, now, clock=itertools.count(0, 60).__next__)
        self.leaderboard = Leaderboard(projection, self.projector, standings, results, reader, finder)
        self.corrector = Corrector(gated_corrections, self.projector, rank_seconds=_PATIENCE)
        feeds = Feeds(ledger, projection, self.projector, standings, results, corrections, reader, finder)
        self.hubs = Hubs(feeds, HUBS)
        self.entry_feeds = EntryFeeds(EntryStore(stores.database), projection, _FEEDS)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serve watches and feeds."""
        async with self.hubs.running(), self.entry_feeds.running():
            yield self

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Have no step reach Redis."""
        self._is_apart = True
        try:
            yield
        finally:
            self._is_apart = False

    async def _reach(self, step: str) -> None:
        await self.gate(step)
        if self._is_apart:
            raise ProjectionUnavailableError

    async def close(self, board_id: str) -> None:
        """Make the periods of a board final that are due, and remove what is left of those that are."""
        for due in await self._periods.list_due(1000):
            if due.board_id == board_id:
                await self._closer.finish(board_id, due.stored)

    def kill(self) -> None:
        """Let nothing of it reach a store any more, and its watches end."""
        self.gate.dead.set()
        self.hubs.close()
        self.entry_feeds.close()

    async def settle(self) -> None:
        """Wait until it does nothing any more, and fail with what nobody foresaw."""
        await self.scoring.finish()
        await self.corrector.finish()
        while repairs := list(self.projector.repairs._tasks.values()):
            for end in await asyncio.gather(*repairs, return_exceptions=True):
                if isinstance(end, Exception) and not isinstance(end, ScoreServiceError):
                    raise end
