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
from dataclasses import dataclass, replace
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
from score_service.projection import Hint, Projection
from score_service.projector import Projector
from score_service.standing import Reading, Source, Standing
from score_service.watch import MAX_TOP, Checkpoint, Snapshot, Update, WatchMessage, WatchRequest
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
        self._hints: dict[Position, Hint] = {}
        """What was heard of or learnt after the frame, by the position it begins at."""
        self._noted = 0
        """Standings in the hints, at most `PENDING_MAX` of those heard of."""
        self._wake = asyncio.Event()
        self._heard = asyncio.Event()
        self._stopped = False

    async def begin(self) -> None:
        """Read the first frame.

        Raises:
            ProjectionUnavailableError: there is none to read.
        """
        reading = await self._projection.get_standings(self._board_id, (), MAX_TOP)
        if reading is None:
            raise ProjectionUnavailableError
        self._start_anew(reading)

    def start(self) -> asyncio.Task[None]:
        """Feed the watchers from now on, in a task that `stop` ends."""
        self._task = asyncio.create_task(self._run(), name="hub")
        return self._task

    def stop(self) -> None:
        """End the task. The flag ends its loops also where a library has lost the cancellation."""
        self._stopped = True
        self._task.cancel()

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
        for reads_left in reversed(range(_READS_MAX)):
            asked = {standing.user_id for hint in self._hints.values() for standing in hint.standings}
            reading = await self._projection.get_standings(self._board_id, list(asked), MAX_TOP)
            if reading is None or reading.position == self.frame.position:
                return
            if not await self._hear(reading.position) and not await self._learn(reading):
                return
            scores = self._compose(reading)
            if not reads_left or all(standing.rank for standing in scores.values()):
                self._emit(Frame(reading.position, reading.top, scores))
                return

    def _path_to(self, position: Position) -> list[Hint] | None:
        """Find the hints that lead from the frame to a position without gap; None if one is missing."""
        path, at = list[Hint](), self.frame.position
        while at != position:
            hint = self._hints.get(at)
            if hint is None:
                return None
            path.append(hint)
            at = hint.after
        return path

    async def _hear(self, position: Position) -> bool:
        """Wait a moment for the hints that lead to a position: they were sent before it could be read."""
        if position.revision <= self.frame.position.revision:
            return False
        try:
            async with asyncio.timeout(self._settings.tick_seconds):
                while self._path_to(position) is None:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True

    async def _learn(self, reading: Reading) -> bool:
        """Ask the ledger what leads to a reading; False if nothing does.

        A frame of another history, or too far back, is followed by one that starts anew.
        """
        if not await self._ledger.has_position(self._board_id, reading.position):
            return False  # Of another history itself: the projector will make it again.
        is_known = await self._ledger.has_position(self._board_id, self.frame.position)
        if is_known and reading.position.revision <= self.frame.position.revision:
            return False  # On its way back to where it was.
        if is_known and await self._fill(reading.position):
            return True
        self._start_anew(reading)
        return False

    async def _fill(self, upto: Position) -> bool:
        """Note what the ledger has up to a position after the frame; False if it is too much."""
        at, users = self.frame.position, set[str]()
        while at.revision < upto.revision and len(users) <= PENDING_MAX:
            changes = await self._ledger.read_changes(self._board_id, at, upto.revision)
            if changes is None:
                return False
            standings = tuple(
                Standing(change.user_id, change.total, None, change.reached_revision)
                for change in changes.changes
            )
            self._hints[at] = Hint(at, changes.after, standings)
            users.update(standing.user_id for standing in standings)
            at = changes.after
        return at == upto and len(users) <= PENDING_MAX

    def _compose(self, reading: Reading) -> dict[str, Standing]:
        """Find the standing of everyone who changed, as of the reading.

        A rank that was told on the way may not hold any more at its end, so it is left out.
        """
        *earlier, last = self._path_to(reading.position) or []
        changed = {s.user_id: replace(s, rank=None) for hint in earlier for s in hint.standings}
        changed.update((s.user_id, s) for s in last.standings)
        read = {s.user_id: s for s in (*reading.top, *reading.users)}
        return {user_id: read.get(user_id, standing) for user_id, standing in changed.items()}

    def _emit(self, frame: Frame) -> None:
        self.frame = frame
        self._hints = {
            before: hint for before, hint in self._hints.items() if before.revision >= frame.position.revision
        }
        self._noted = sum(len(hint.standings) for hint in self._hints.values())
        for watcher in self.watchers:
            watcher.offer(frame)

    def _start_anew(self, reading: Reading) -> None:
        self._emit(Frame(reading.position, reading.top, {}, reset=True))

    def _note(self, hint: Hint) -> None:
        """Take in a hint, if it is news and there is room for it."""
        is_news = self.frame.position.revision <= hint.before.revision < hint.after.revision
        if is_news and self._noted + len(hint.standings) <= PENDING_MAX:
            self._hints[hint.before] = hint
            self._noted += len(hint.standings)
        self._heard.set()
        self._wake.set()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._tick())

    async def _listen(self) -> None:
        while not self._stopped:
            try:
                async with self._projection.listen(self._board_id) as hints:
                    self._wake.set()
                    async for hint in hints:
                        self._note(hint)
                        if self._stopped:
                            return
            except ProjectionUnavailableError:
                pass  # The board is looked at all the same.
            except Exception:  # noqa: BLE001 - Logged whole; without hints the watchers are fed more slowly.
                _log.exception("hub does not hear")
            await asyncio.sleep(self._settings.poll_seconds / 2)

    async def _tick(self) -> None:
        while not self._stopped:
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
        self.watchers = 0
        """Number of open watches."""
        self._hubs: dict[str, Hub] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Of the hubs, also of those that are ending."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
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
            elif scores is not None and request.after is not None:
                # A snapshot alone does not say whether more belongs to its position.
                yield WatchMessage(Checkpoint(), position, Source.CACHE)
            while True:
                yield await watcher.wait(self._settings.checkpoint_seconds)

    @asynccontextmanager
    async def _attached(self, request: WatchRequest) -> AsyncIterator[Watcher]:
        async with self._counted(), self._claimed(request.board_id) as hub:
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

    @asynccontextmanager
    async def _claimed(self, board_id: str) -> AsyncIterator[Hub]:
        """Find the hub of a board or start it, and stop it when nobody needs it any more."""
        async with self._locks.setdefault(board_id, asyncio.Lock()):
            hub = self._hubs.get(board_id) or await self._start(board_id)
            hub.claims += 1
        try:
            yield hub
        finally:
            hub.claims -= 1
            if hub.claims == 0:
                del self._hubs[board_id]
                hub.stop()

    async def _start(self, board_id: str) -> Hub:
        if await self._projection.read_header(board_id) is None:
            await self._projector.catch_up(board_id)
        hub = Hub(board_id, self._ledger, self._projection, self._settings)
        await hub.begin()
        self._hubs[board_id] = hub
        task = hub.start()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return hub
