"""The stream: one hub a board and process, which every watcher of the board is fed from.

Invariants:
- What users changed is learnt from hints while they follow each other without gap, and from the ledger
  otherwise. A lost hint costs a query, never a change.
- A frame holds at one position, that of the projection it was read from, and follows the frame before:
  it has every user that changed between the two.
- A hub never waits for a watcher.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self
from weakref import WeakValueDictionary

import structlog

from score_service.changes import Change
from score_service.errors import (
    ProjectionUnavailableError,
    RecordUnavailableError,
    ShuttingDownError,
    WatcherEvictedError,
)
from score_service.ledger import Ledger
from score_service.position import Position
from score_service.projection import Hint, Projection, Reading
from score_service.projector import Projector
from score_service.standing import Source, Standing
from score_service.watch import MAX_TOP, Snapshot, Update, WatchMessage, WatchRequest
from score_service.watcher import PENDING_MAX, Frame, Watcher

_READS_MAX: Final = 3
"""How often a frame is read again because more users have changed meanwhile, before the next tick."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How often things are sent, and how many watchers there may be."""

    tick_seconds: float = 0.05
    """Between two updates of a watch, at least."""
    poll_seconds: float = 1.0
    """Between two looks at the projection where no hint comes, at most."""
    checkpoint_seconds: float = 15.0
    """Between two messages of a watch, at most."""
    resume_max: int = 10_000
    """Revisions that a watcher may have missed and still be resumed."""
    watchers_max: int = 5_000


class Hub:
    """The newest frame of one board, and those who want the next."""

    def __init__(self, board_id: str, ledger: Ledger, projection: Projection, settings: HubSettings) -> None:
        self.watchers: set[Watcher] = set()
        self.frame = Frame(Position.start(board_id), (), {})
        self.claims = 0
        """Watches that need this hub, also those that have not begun."""
        self._board_id = board_id
        self._ledger = ledger
        self._projection = projection
        self._settings = settings
        self._changed: dict[str, Standing | None] = {}
        """Users that changed after the frame; None where only the ledger was asked."""
        self._known = self.frame.position
        """Up to here, every user that changed is in `_changed`."""
        self._wake = asyncio.Event()

    async def begin(self) -> None:
        """Read the first frame.

        Raises:
            ProjectionUnavailableError: there is none to read.
        """
        await self._start_anew()

    async def run(self) -> None:
        """Feed the watchers until cancelled, or until nobody claims the hub any more.

        The latter ends the loops also where a library has lost the cancellation.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._tick())

    async def reach(self, revision: int) -> None:
        """Wait for a frame at a revision or later.

        Raises:
            ProjectionUnavailableError: it does not come in time.
        """
        try:
            async with asyncio.timeout(2 * self._settings.poll_seconds):
                while self.frame.position.revision < revision:
                    self._wake.set()
                    await asyncio.sleep(self._settings.tick_seconds)
        except TimeoutError:
            raise ProjectionUnavailableError from None

    async def refresh(self) -> None:
        """Make the next frame, if the projection has moved, and offer it to every watcher.

        Raises:
            ProjectionUnavailableError: Redis is away.
            RecordUnavailableError: PostgreSQL was needed and is away.
        """
        for _ in range(_READS_MAX):
            asked = list(self._changed)
            reading = await self._projection.get_standings(self._board_id, asked, MAX_TOP)
            if reading is None or reading.position == self.frame.position:
                return
            if not await self._follows(reading.position):
                await self._start_anew()
                return
            if reading.position.revision <= self.frame.position.revision:
                return
            scores = self._compose(reading, asked)
            if scores is not None:
                self._emit(Frame(reading.position, reading.top, scores))
                return

    async def _follows(self, position: Position) -> bool:
        """Learn who changed up to a position; False if that is another history, or too much."""
        if position.revision <= self.frame.position.revision:
            return await self._ledger.has_position(self._board_id, self.frame.position)
        if position.revision > self._known.revision:
            await self._hear(position.revision)
        if position.revision > self._known.revision:
            if not await self._ledger.has_position(self._board_id, self._known):
                return False
            await self._learn(position.revision)
        return len(self._changed) <= PENDING_MAX

    async def _hear(self, revision: int) -> None:
        """Wait a moment for hints up to a revision: they were published before it could be read."""
        try:
            async with asyncio.timeout(self._settings.tick_seconds):
                while self._known.revision < revision:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return

    async def _learn(self, revision: int) -> None:
        """Ask the ledger who changed up to a revision, or until it is too much."""
        while self._known.revision < revision and len(self._changed) <= PENDING_MAX:
            changes = await self._ledger.read_changes(self._board_id, self._known, revision)
            if changes is None:
                return
            for change in changes.changes:
                self._changed[change.user_id] = None
            self._known = changes.after

    def _compose(self, reading: Reading, asked: list[str]) -> dict[str, Standing] | None:
        """Find the standing of everyone who changed, as of the reading; None if it must be read again."""
        read = {standing.user_id: standing for standing in reading.users}
        scores = {}
        for user_id in self._changed.keys() - read.keys():
            if self._changed[user_id] is None and user_id not in asked:
                return None
        for user_id, hinted in self._changed.items():
            standing = read.get(user_id) or hinted
            if standing is not None and standing.reached_revision <= reading.position.revision:
                scores[user_id] = standing
        return scores

    def _emit(self, frame: Frame) -> None:
        self._forget(frame.position.revision)
        self.frame = frame
        for watcher in self.watchers:
            watcher.offer(frame)

    def _forget(self, revision: int) -> None:
        """Drop what a frame at a revision has told, but not who changed again after it."""
        self._changed = {
            user_id: hinted
            for user_id, hinted in self._changed.items()
            if (self._known.revision if hinted is None else hinted.reached_revision) > revision
        }

    async def _start_anew(self) -> None:
        reading = await self._projection.get_standings(self._board_id, (), MAX_TOP)
        if reading is None:
            raise ProjectionUnavailableError
        self._changed.clear()
        self._known = reading.position
        self._emit(Frame(reading.position, reading.top, {}, reset=True))

    def _note(self, hint: Hint) -> None:
        """Take in a hint, if it begins where the knowledge ends."""
        if hint.before == self._known and len(self._changed) <= PENDING_MAX:
            self._changed.update((standing.user_id, standing) for standing in hint.standings)
            self._known = hint.after
        self._wake.set()

    async def _listen(self) -> None:
        while self.claims:
            try:
                async with self._projection.listen(self._board_id) as hints:
                    self._wake.set()
                    async for hint in hints:
                        self._note(hint)
                        if not self.claims:
                            return
            except ProjectionUnavailableError:
                await asyncio.sleep(self._settings.poll_seconds / 2)

    async def _tick(self) -> None:
        while self.claims:
            try:
                async with asyncio.timeout(self._settings.poll_seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass  # No hint for a while: look, in case one was lost.
            self._wake.clear()
            try:
                await self.refresh()
            except (ProjectionUnavailableError, RecordUnavailableError) as error:
                _log.warning("hub not fed", error=str(error))
            except Exception:  # noqa: BLE001 - Logged whole; watchers are fed again at the next tick.
                _log.exception("hub failed")
            await asyncio.sleep(self._settings.tick_seconds)


class Hubs:
    """The hubs of the boards that are watched."""

    def __init__(
        self,
        ledger: Ledger,
        projection: Projection,
        projector: Projector,
        settings: HubSettings | None = None,
    ) -> None:
        self._ledger = ledger
        self._projection = projection
        self._projector = projector
        self._settings = settings or HubSettings()
        self._hubs: dict[str, Hub] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closed = False

    @property
    def watchers(self) -> int:
        """Number of open watches."""
        return sum(len(hub.watchers) for hub in self._hubs.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serve watches, and end them all at the end."""
        try:
            yield self
        finally:
            self.close()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def close(self) -> None:
        """End every watch, and begin no other."""
        self._closed = True
        for hub in self._hubs.values():
            for watcher in hub.watchers:
                watcher.end(ShuttingDownError())
        for task in self._tasks.values():
            task.cancel()

    async def watch(self, request: WatchRequest) -> AsyncGenerator[WatchMessage]:
        """Send the top, what changed since `request.after`, and then what changes.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            ProjectionUnavailableError: Redis is away, at the start.
            RecordUnavailableError: PostgreSQL was needed at the start, and is away.
            ShuttingDownError: this process is stopping.
            WatcherEvictedError: there are too many watchers.
        """
        async with self._attached(request) as watcher:
            position, top = watcher.position, watcher.top
            scores = await self._missed(request, position)
            yield WatchMessage(Snapshot(top, reset=scores is None), position, Source.CACHE)
            if scores:
                yield WatchMessage(Update(None, scores), position, Source.CACHE)
            while True:
                yield await watcher.wait(self._settings.checkpoint_seconds)

    @asynccontextmanager
    async def _attached(self, request: WatchRequest) -> AsyncIterator[Watcher]:
        if self._closed:
            raise ShuttingDownError
        if self.watchers >= self._settings.watchers_max:
            raise WatcherEvictedError
        hub = await self._claim(request.board_id)
        try:
            if request.after is not None and await self._is_ahead(hub, request):
                await hub.reach(request.after.revision)
            # Nothing may be awaited between reading the frame and being offered the next.
            watcher = Watcher(request, hub.frame)
            hub.watchers.add(watcher)
            try:
                yield watcher
            finally:
                hub.watchers.discard(watcher)
        finally:
            self._release(request.board_id, hub)

    async def _is_ahead(self, hub: Hub, request: WatchRequest) -> bool:
        """Tell whether the watcher saw a position of the record that the hub has yet to reach."""
        after = request.after
        if after is None or after.revision <= hub.frame.position.revision:
            return False
        return await self._ledger.has_position(request.board_id, after)

    async def _missed(self, request: WatchRequest, upto: Position) -> tuple[Standing, ...] | None:
        """Find what the watcher wants of the changes since it left; None if that is not known."""
        if request.after is None:
            return ()
        board_id, position = request.board_id, request.after
        if upto.revision - position.revision > self._settings.resume_max:
            return None
        if not await self._ledger.has_position(board_id, position):
            return None
        changed: dict[str, Change] = {}
        while position.revision < upto.revision:
            changes = await self._ledger.read_changes(board_id, position, upto.revision)
            if changes is None:
                return None
            changed.update((c.user_id, c) for c in changes.changes if request.wants(c.user_id))
            position = changes.after
        return await self._ranked(board_id, changed) if position == upto else None

    async def _ranked(self, board_id: str, changed: dict[str, Change]) -> tuple[Standing, ...]:
        """Add the ranks of those who have not changed again since."""
        reading = await self._projection.get_standings(board_id, list(changed)) if changed else None
        now = {(s.user_id, s.reached_revision): s.rank for s in reading.users} if reading else {}
        return tuple(
            Standing(c.user_id, c.total, now.get((c.user_id, c.reached_revision)), c.reached_revision)
            for c in changed.values()
        )

    async def _claim(self, board_id: str) -> Hub:
        """Find the hub of a board, or start it."""
        async with self._locks.setdefault(board_id, asyncio.Lock()):
            hub = self._hubs.get(board_id)
            if hub is None:
                if await self._projection.read_header(board_id) is None:
                    await self._projector.catch_up(board_id)
                hub = Hub(board_id, self._ledger, self._projection, self._settings)
                await hub.begin()
                self._hubs[board_id] = hub
                self._tasks[board_id] = asyncio.create_task(hub.run(), name="hub")
            hub.claims += 1
            return hub

    def _release(self, board_id: str, hub: Hub) -> None:
        hub.claims -= 1
        if hub.claims == 0:
            del self._hubs[board_id]
            self._tasks.pop(board_id).cancel()
