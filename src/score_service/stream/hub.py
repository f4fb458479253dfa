"""The stream of one board: what it became, frame by frame, for all who watch it in this process.

Invariants:
- A frame holds at one position and follows the frame before: it has every user that changed between the two.
- The top is read from the projection; where that is unavailable, gone or behind what watchers have seen, from
  the record. What users changed is learnt from hints while they follow each other without gap, and from the
  ledger otherwise. So a lost hint, or a lost Redis, costs a query and never a change.
- A hub never waits for a watcher.
"""

import asyncio
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Final

import structlog

from score_service.boards.shared_reads import RecordReader
from score_service.domain.hint import Hint
from score_service.domain.position import Position
from score_service.domain.standing import Reading, Source, Standing
from score_service.domain.watch import MAX_TOP
from score_service.errors import (
    BoardNotFoundError,
    ProjectionUnavailableError,
    RecordUnavailableError,
    ScoreServiceError,
)
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.ledger import Ledger
from score_service.record.standings import Standings
from score_service.stream.trail import Trail
from score_service.stream.watcher import PENDING_MAX, Frame, Watcher

_OFFERED_AT_ONCE: Final = 50
"""Watchers that are offered a frame before the process does other work: to write to one takes 0.1 ms."""
_READS_MAX: Final = 3
"""How often a frame is read again because more users have changed meanwhile, before the next tick."""
_FILL_MAX: Final = 100_000
"""Revisions of the ledger that are read to make one frame: a hundred statements. Past them it starts anew."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How often things are sent, and how many watchers there may be."""

    tick_seconds: float = 0.05
    """Between two updates of a watch, at least."""
    poll_seconds: float = 1.0
    """Between two looks at the board where no hint comes, at most."""
    checkpoint_seconds: float = 15.0
    """Between two messages of a watch, at most."""
    resume_max: int = 10_000
    """Revisions that a watcher may have missed and still be resumed."""
    watchers_max: int = 5_000


@dataclass(frozen=True, slots=True)
class Feeds:
    """What hubs are fed from."""

    ledger: Ledger
    projection: Projection
    projector: Projector
    standings: Standings
    reader: RecordReader


class Hub:
    """The newest frame of one board, and those who want the next."""

    def __init__(self, board_id: str, feeds: Feeds, settings: HubSettings) -> None:
        self.watchers: set[Watcher] = set()
        self.frame = Frame(Position.start(board_id), (), {})
        self.claims = 0
        """Watches that need this hub, also those that have not begun."""
        self._board_id = board_id
        self._ledger = feeds.ledger
        self._projection = feeds.projection
        self._projector = feeds.projector
        self._standings = feeds.standings
        self._reader = feeds.reader
        self._settings = settings
        self._trail = Trail(self.frame.position, PENDING_MAX)
        self._wanted = 0
        """The revision that someone waits for."""
        self._wake = asyncio.Event()
        self._heard = asyncio.Event()
        self._stopped = False

    async def begin(self) -> None:
        """Read the first frame.

        Raises:
            BoardNotFoundError: the record does not have the board.
            RecordUnavailableError: PostgreSQL was needed, and is unavailable.
        """
        reading = None
        with suppress(ProjectionUnavailableError):
            await self._confirm()
            reading = await self._projection.get_standings(self._board_id, (), MAX_TOP)
        await self._start_anew(reading or await self._read_record())

    async def _confirm(self) -> None:
        """Ask the record whether it has the board, unless it is unavailable."""
        with suppress(RecordUnavailableError, TimeoutError):
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._projector.confirm(self._board_id)

    def start(self) -> asyncio.Task[None]:
        """Feed the watchers from now on, in a task that `stop` ends."""
        # It serves all watchers, so what it logs belongs to no one call.
        self._task = asyncio.create_task(self._run(), name="hub", context=Context())
        return self._task

    def stop(self) -> None:
        """End the task. The flag ends its loops also where a library has lost the cancellation."""
        self._stopped = True
        self._task.cancel()

    async def reach(self, revision: int) -> None:
        """Wait for a frame at a revision of the record, or later.

        Raises:
            ProjectionUnavailableError: it does not come in time.
        """
        try:
            async with asyncio.timeout(2 * self._settings.poll_seconds):
                while self.frame.position.revision < revision:
                    self._wanted = max(self._wanted, revision)
                    self._wake.set()
                    await asyncio.sleep(self._settings.tick_seconds)
        except TimeoutError:
            raise ProjectionUnavailableError from None

    async def refresh(self) -> None:
        """Make the next frame, if the board has moved, and offer it to every watcher.

        Raises:
            ScoreServiceError: there is nothing to make it of at present.
        """
        wanted, self._wanted = self._wanted, 0
        try:
            follows = await self._follow_projection()
        except ProjectionUnavailableError:
            follows = False
        if not follows or self.frame.position.revision < wanted:
            await self._follow_record(wanted)

    async def _follow_projection(self) -> bool:
        """Bring the frame to where the projection stands; False if it stands nowhere that can be shown."""
        for reads_left in reversed(range(_READS_MAX)):
            asked = list(self._trail.users())
            reading = await self._projection.get_standings(self._board_id, asked, MAX_TOP)
            if reading is None:
                return False
            if reading.position == self.frame.position:
                await self._name_source(reading.source)
                return True
            if not await self._hear(reading.position) and not await self._learn(reading):
                return False
            if reading.position == self.frame.position:
                return True  # It has started anew.
            scores = self._trail.scores_at(reading)
            if not reads_left or all(standing.rank for standing in scores.values()):
                await self._emit(Frame(reading.position, reading.top, scores, reading.source))
                break
        return True

    async def _follow_record(self, wanted: int) -> None:
        """Bring the frame to where the ledger stands. Ranks below the top are not told."""
        if await self._ledger.read_head(self._board_id) == self.frame.position:
            await self._name_source(Source.RECORD)
            return
        reading = await self._read_record(wanted)
        if await self._learn(reading) and reading.position != self.frame.position:
            scores = self._trail.scores_at(reading)
            await self._emit(Frame(reading.position, reading.top, scores, reading.source))

    async def _read_record(self, min_revision: int = 0) -> Reading:
        ask = self._standings.list_standings
        return await self._reader.read(ask, self._board_id, MAX_TOP, "", min_revision=min_revision)

    async def _hear(self, position: Position) -> bool:
        """Wait a moment for the hints that lead to a position: they were sent before it could be read."""
        if position.revision <= self.frame.position.revision:
            return False
        try:
            async with asyncio.timeout(self._settings.tick_seconds):
                while not self._trail.leads_to(position):
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
        if not is_known or not await self._fill(reading.position) or not await self._is_still_known():
            await self._start_anew(reading)
        return True

    async def _is_still_known(self) -> bool:
        """Ask again: the ledger is read by revisions alone, and may have been restored meanwhile."""
        return await self._ledger.has_position(self._board_id, self.frame.position)

    async def _fill(self, upto: Position) -> bool:
        """Note what the ledger has up to a position after the frame; False if it is too much."""
        at, users = self.frame.position, set[str]()
        if upto.revision - at.revision > _FILL_MAX:
            return False
        while at.revision < upto.revision and len(users) <= PENDING_MAX:
            changes = await self._ledger.read_changes(self._board_id, at, upto.revision)
            if changes is None:
                return False
            standings = tuple(
                Standing(change.user_id, change.total, None, change.reached_revision)
                for change in changes.changes
            )
            self._trail.add(Hint(at, changes.after, standings))
            users.update(standing.user_id for standing in standings)
            at = changes.after
        return at == upto and len(users) <= PENDING_MAX

    async def _emit(self, frame: Frame) -> None:
        """Offer a frame. Standings of the top that stay are the same objects, which compare faster."""
        former = {standing: standing for standing in self.frame.top}
        frame = replace(frame, top=tuple(former.get(standing, standing) for standing in frame.top))
        self.frame = frame
        self._trail.move_to(frame.position)
        offered = list(self.watchers)  # Who begins from now on begins at this frame.
        for first in range(0, len(offered), _OFFERED_AT_ONCE):
            for watcher in offered[first : first + _OFFERED_AT_ONCE]:
                watcher.offer(frame)
            await asyncio.sleep(0)

    async def _name_source(self, source: Source) -> None:
        """Have the watchers know which store says that nothing has changed."""
        if self.frame.source is not source:
            await self._emit(replace(self.frame, scores={}, source=source, reset=False))

    async def _start_anew(self, reading: Reading) -> None:
        self._trail = Trail(reading.position, PENDING_MAX)  # What was heard may be of the other history.
        await self._emit(Frame(reading.position, reading.top, {}, reading.source, reset=True))

    def _note(self, hint: Hint) -> None:
        if self._trail.note(hint):
            self._heard.set()
            self._wake.set()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._tick())

    async def _listen(self) -> None:
        while not self._stopped:
            try:
                async with self._projection.subscribe(self._board_id) as hints:
                    self._wake.set()
                    async for hint in hints:
                        self._note(hint)
                        if self._stopped:
                            return
            except ProjectionUnavailableError:
                pass  # The board is looked at all the same.
            except Exception:  # noqa: BLE001 - Logged whole; without hints the watchers are fed more slowly.
                _log.exception("subscription_failed")
            await asyncio.sleep(self._settings.poll_seconds / 2)

    def _end_watchers(self, error: ScoreServiceError) -> None:
        """Report everyone that there is nothing to watch any more: the record was restored to before it."""
        for watcher in self.watchers:
            watcher.end(error)

    async def _tick(self) -> None:
        while not self._stopped:
            try:
                async with asyncio.timeout(self._settings.poll_seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass  # No hint for a while: look, in case one was lost.
            self._wake.clear()
            began = asyncio.get_running_loop().time()
            try:
                await self.refresh()
            except BoardNotFoundError as error:
                self._end_watchers(error)
            except ScoreServiceError as error:
                _log.warning("refresh_interrupted", error=str(error))
            except Exception:  # noqa: BLE001 - Logged whole; watchers are fed again at the next tick.
                _log.exception("refresh_failed")
            # A crowd of watchers takes half of the process at most, and the updates become fewer.
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(self._settings.tick_seconds - took, took))
