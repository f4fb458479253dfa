"""The watches of this process: each is fed by the hub of what it watches, which lives as long as anyone does.

A watcher that resumes gets what it has missed from the ledger alone, so it does not matter whether
Redis was lost in between.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self, TypeAlias
from weakref import WeakValueDictionary

from score_service.domain.board.period import ALL_TIME, PeriodChoice
from score_service.domain.ledger.changes import Change, read_lines
from score_service.domain.standings.standing import Standing
from score_service.domain.standings.watch import Update, WatchMessage, WatchRequest
from score_service.errors import ProjectionUnavailableError, ShuttingDownError, WatcherEvictedError
from score_service.stream.feeds import Feeds
from score_service.stream.frame import Frame
from score_service.stream.hub import Hub, HubSettings
from score_service.stream.subscription import Subscription
from score_service.stream.watcher import Watcher

_Watched: TypeAlias = tuple[str, PeriodChoice | None]
"""A board, and what is watched of it."""


class Hubs:
    """The hubs of the boards that are watched."""

    def __init__(self, feeds: Feeds, settings: HubSettings | None = None) -> None:
        self._feeds = feeds
        self._settings = settings or HubSettings()
        self.watchers = 0
        """Number of open watches."""
        self._hubs: dict[_Watched, Hub] = {}
        self._subscriptions: dict[str, Subscription] = {}
        """By board."""
        self._tasks: set[asyncio.Task[None]] = set()
        """Of the hubs and subscriptions, also of those that are ending."""
        self._locks: WeakValueDictionary[_Watched, asyncio.Lock] = WeakValueDictionary()
        self._closed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serve watches, and end them all at the end."""
        try:
            yield self
        finally:
            self.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """End every watch, and begin no other."""
        self._closed = True
        for hub in self._hubs.values():
            for watcher in hub.watchers:
                watcher.end(ShuttingDownError())
            hub.stop()
        for subscription in self._subscriptions.values():
            subscription.stop()

    async def watch(self, request: WatchRequest) -> AsyncGenerator[WatchMessage]:
        """Send the top, what changed since `request.after`, and then what changes.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            PeriodUnknownError: the board has no such period, or it has not begun; also once none follows.
            ProjectionUnavailableError: what the watcher has seen already is not reached, at the start.
            RecordUnavailableError: PostgreSQL was needed at the start, and is unavailable.
            ShuttingDownError: this process is stopping.
            WatcherEvictedError: there are too many watchers.
        """
        async with self._attached(request) as watcher:
            frame = watcher.frame
            scores = await self._missed(request, frame)
            yield frame.snapshot(request.top_n, reset=scores is None)
            if scores:
                yield frame.message(Update(None, scores))
            elif scores is not None and request.after is not None:
                # A snapshot alone does not say whether more belongs to its position.
                yield frame.checkpoint()
            while True:
                yield await watcher.wait(self._settings.checkpoint_seconds)

    @asynccontextmanager
    async def _attached(self, request: WatchRequest) -> AsyncIterator[Watcher]:
        async with self._counted(), self._claimed((request.board_id, request.choice)) as hub:
            if request.after is not None and await self._is_ahead(hub, request):
                await hub.reach(request.after.revision)
            if self._closed:
                raise ShuttingDownError
            # Nothing may be awaited between reading the frame and being offered the next.
            watcher = Watcher(request, hub.frame)
            hub.watchers.add(watcher)
            try:
                yield watcher
            finally:
                hub.watchers.discard(watcher)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        if self._closed:
            raise ShuttingDownError
        if self.watchers >= self._settings.watchers_max:
            raise WatcherEvictedError
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    async def _is_ahead(self, hub: Hub, request: WatchRequest) -> bool:
        """Return whether the watcher saw a position of the record that the hub has yet to reach."""
        after = request.after
        if after is None or after.revision <= hub.frame.position.revision:
            return False
        return await self._feeds.ledger.has_position(request.board_id, after)

    async def _missed(self, request: WatchRequest, frame: Frame) -> tuple[Standing, ...] | None:
        """Find what the watcher wants of the changes since it left; None if that is not known."""
        if request.after is None:
            return ()
        ledger, board_id, position = self._feeds.ledger, request.board_id, request.after
        upto, period_id = frame.position, frame.period and frame.period.period.period_id
        if upto.revision - position.revision > self._settings.resume_max:
            return None
        if not await ledger.has_position(board_id, position):
            return None
        changed: dict[str, Change] = {}
        while position.revision < upto.revision:
            changes = await ledger.read_changes(board_id, position, upto.revision)
            if changes is None:
                return None
            shown = read_lines(changes.periods.get(period_id, "")) if period_id else changes.changes
            changed.update((c.user_id, c) for c in shown if request.wants(c.user_id))
            position = changes.after
        return await self._ranked(board_id, changed, frame) if position == upto else None

    async def _ranked(self, board_id: str, changed: dict[str, Change], frame: Frame) -> tuple[Standing, ...]:
        """Add the ranks at the frame's position, where its top or the projection still has them."""
        known = {standing.user_id: standing for standing in frame.top}
        if below := [user_id for user_id in changed if user_id not in known]:
            with suppress(ProjectionUnavailableError):
                period_id = frame.period.period.period_id if frame.period else ALL_TIME
                reading = await self._feeds.projection.get_standings(board_id, below, period_id=period_id)
                if reading is not None and reading.position == frame.position:
                    known.update((standing.user_id, standing) for standing in reading.users)
        unranked = [change for user_id, change in changed.items() if user_id not in known]
        made = await self._feeds.make_standings(board_id, unranked, frame.position.revision)
        known.update((standing.user_id, standing) for standing in made)
        return tuple(known[user_id] for user_id in changed)

    @asynccontextmanager
    async def _claimed(self, watched: _Watched) -> AsyncIterator[Hub]:
        """Find the hub of what is watched or start it, and stop it when nobody needs it any more."""
        async with self._locks.setdefault(watched, asyncio.Lock()):
            hub = self._hubs.get(watched) or await self._start(watched)
            hub.claims += 1
        try:
            yield hub
        finally:
            hub.claims -= 1
            if hub.claims == 0:
                self._stop(watched)

    async def _start(self, watched: _Watched) -> Hub:
        board_id, choice = watched
        hub = Hub(board_id, self._feeds, self._settings, choice)
        await hub.begin()
        self._hubs[watched] = hub
        self._keep(hub.start())
        self._subscribe(board_id).add(hub)
        return hub

    def _subscribe(self, board_id: str) -> Subscription:
        """Find the subscription to a board or start it."""
        subscription = self._subscriptions.get(board_id)
        if subscription is None:
            pause_seconds = self._settings.poll_seconds / 2
            subscription = Subscription(board_id, self._feeds.projection, pause_seconds)
            self._subscriptions[board_id] = subscription
            self._keep(subscription.start())
        return subscription

    def _stop(self, watched: _Watched) -> None:
        """Stop a hub, and the subscription to its board with the last one."""
        board_id, _ = watched
        hub, subscription = self._hubs.pop(watched), self._subscriptions[board_id]
        hub.stop()
        subscription.hubs.discard(hub)
        if not subscription.hubs:
            del self._subscriptions[board_id]
            subscription.stop()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
