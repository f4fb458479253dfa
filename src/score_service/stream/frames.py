"""The frames of one board, each made of what both stores have of it.

Invariants:
- A frame holds at one position and follows the frame before: it has every user that changed between the two.
- The top is read from the projection; where that is unavailable, gone, stale or behind what watchers have
  seen, from the record. What users changed is taken from hints while they follow each other without gap, and
  from the ledger otherwise. So a lost hint, or a lost Redis, costs a query and never a change.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

from score_service.domain.hint import Hint
from score_service.domain.position import Position
from score_service.domain.standing import Reading, Source, Standing
from score_service.domain.watch import MAX_TOP
from score_service.errors import ProjectionUnavailableError, RecordUnavailableError
from score_service.stream.feeds import Feeds
from score_service.stream.frame import Frame
from score_service.stream.hint_buffer import HintBuffer
from score_service.stream.watcher import PENDING_MAX

_READS_MAX: Final = 3
"""How often a frame is read again because more users have changed meanwhile, before the next one."""
_REPLAYED_MAX: Final = 100_000
"""Revisions of the ledger that are read to make one frame: a hundred statements. Past them it is a reset."""

OnFrame: TypeAlias = Callable[[Frame], Awaitable[None]]


class Frames:
    """The newest frame of one board, and how the next is made."""

    def __init__(self, board_id: str, feeds: Feeds, on_frame: OnFrame, *, hint_seconds: float) -> None:
        """Take who gets each frame, and for how long to wait for the hints that lead to one."""
        self.newest = Frame(Position.start(board_id), (), {})
        self._board_id = board_id
        self._feeds = feeds
        self._on_frame = on_frame
        self._hint_seconds = hint_seconds
        self._hints = HintBuffer(self.newest.position, PENDING_MAX)
        self._received = asyncio.Event()

    async def begin(self, confirm_seconds: float) -> None:
        """Make the first frame.

        Args:
            confirm_seconds: how long to wait for the record to confirm that it has the board.

        Raises:
            BoardNotFoundError: the record does not have the board.
            RecordUnavailableError: PostgreSQL was needed, and is unavailable.
        """
        reading = None
        with suppress(ProjectionUnavailableError):
            await self._confirm(confirm_seconds)
            reading = await self._feeds.projection.get_standings(self._board_id, (), MAX_TOP)
        await self._reset(await self._first(reading))

    async def _first(self, reading: Reading | None) -> Reading:
        """Prefer the record to a projection that is gone or stale, unless only the latter is there."""
        if reading is not None and not self._is_stale(reading):
            return reading
        try:
            return await self._read_record()
        except RecordUnavailableError:
            if reading is None:
                raise
            return reading

    def note(self, hint: Hint) -> bool:
        """Take in a hint; False if it is not newer than the frame."""
        is_news = self._hints.note(hint)
        if is_news:
            self._received.set()
        return is_news

    async def refresh(self, wanted: int = 0) -> None:
        """Make the next frame, if the board has moved.

        Args:
            wanted: a revision of the record that a watcher waits for.

        Raises:
            ScoreServiceError: there is nothing to make it of at present.
        """
        try:
            follows = await self._follow_projection()
        except ProjectionUnavailableError:
            follows = False
        if not follows or self.newest.position.revision < wanted:
            await self._follow_record(wanted)

    async def _confirm(self, seconds: float) -> None:
        """Ask the record whether it has the board, unless it is unavailable."""
        with suppress(RecordUnavailableError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._feeds.projector.confirm(self._board_id)

    async def _follow_projection(self) -> bool:
        """Bring the frame to the position of the projection; False if that cannot be shown."""
        for reads_left in reversed(range(_READS_MAX)):
            asked = list(self._hints.users())
            reading = await self._feeds.projection.get_standings(self._board_id, asked, MAX_TOP)
            if reading is None or self._is_stale(reading):
                return False
            if reading.position == self.newest.position:
                await self._change_source(reading.source)
                return True
            if not await self._wait_for_hints(reading.position) and not await self._read_changes_to(reading):
                return False
            if reading.position == self.newest.position:
                return True  # It was a reset.
            scores = self._hints.scores_at(reading)
            if not reads_left or all(standing.rank for standing in scores.values()):
                await self._emit(Frame(reading.position, reading.top, scores, reading.source))
                break
        return True

    def _is_stale(self, reading: Reading) -> bool:
        """Return whether the projection lacks what the record had a second ago."""
        return self._feeds.projector.freshness.is_stale(self._board_id, reading.position.revision)

    async def _follow_record(self, wanted: int) -> None:
        """Bring the frame to the head of the ledger. Ranks below the top are left out."""
        if await self._feeds.ledger.read_head(self._board_id) == self.newest.position:
            await self._change_source(Source.RECORD)
            return
        reading = await self._read_record(wanted)
        if await self._read_changes_to(reading) and reading.position != self.newest.position:
            scores = self._hints.scores_at(reading)
            await self._emit(Frame(reading.position, reading.top, scores, reading.source))

    async def _read_record(self, min_revision: int = 0) -> Reading:
        read = self._feeds.standings.list_standings
        return await self._feeds.reader.read(read, self._board_id, MAX_TOP, "", min_revision=min_revision)

    async def _wait_for_hints(self, position: Position) -> bool:
        """Wait a moment for the hints that lead to a position: they were sent before it could be read."""
        if position.revision <= self.newest.position.revision:
            return False
        try:
            async with asyncio.timeout(self._hint_seconds):
                while not self._hints.leads_to(position):
                    self._received.clear()
                    await self._received.wait()
        except TimeoutError:
            return False
        return True

    async def _read_changes_to(self, reading: Reading) -> bool:
        """Read from the ledger what leads to a reading; False if nothing does.

        A frame of another history, or too far back, is followed by a reset.
        """
        if not await self._is_known(reading.position):
            return False  # Of another history itself: the projector will make it again.
        is_known = await self._is_known(self.newest.position)
        if is_known and reading.position.revision <= self.newest.position.revision:
            return False  # On its way back to where it was.
        # It is asked for again: the ledger is read by revisions alone, and may have been restored meanwhile.
        if (
            not is_known
            or not await self._replay(reading.position)
            or not await self._is_known(self.newest.position)
        ):
            await self._reset(reading)
        return True

    async def _is_known(self, position: Position) -> bool:
        return await self._feeds.ledger.has_position(self._board_id, position)

    async def _replay(self, upto: Position) -> bool:
        """Take in what the ledger has up to a position after the frame; False if it is too much."""
        at, users = self.newest.position, set[str]()
        if upto.revision - at.revision > _REPLAYED_MAX:
            return False
        while at.revision < upto.revision and len(users) <= PENDING_MAX:
            changes = await self._feeds.ledger.read_changes(self._board_id, at, upto.revision)
            if changes is None:
                return False
            standings = tuple(
                Standing(change.user_id, change.total, None, change.reached_revision)
                for change in changes.changes
            )
            self._hints.add(Hint(at, changes.after, standings))
            users.update(standing.user_id for standing in standings)
            at = changes.after
        return at == upto and len(users) <= PENDING_MAX

    async def _emit(self, frame: Frame) -> None:
        """Hand a frame out. Standings of the top that stay are the same objects, which compare faster."""
        former = {standing: standing for standing in self.newest.top}
        self.newest = replace(frame, top=tuple(former.get(standing, standing) for standing in frame.top))
        self._hints.move_to(frame.position)
        await self._on_frame(self.newest)

    async def _change_source(self, source: Source) -> None:
        """Have the watchers know which store says that nothing has changed."""
        if self.newest.source is not source:
            await self._emit(replace(self.newest, scores={}, source=source, reset=False))

    async def _reset(self, reading: Reading) -> None:
        self._hints = HintBuffer(reading.position, PENDING_MAX)  # Earlier hints may be of the other history.
        await self._emit(Frame(reading.position, reading.top, {}, reading.source, reset=True))
