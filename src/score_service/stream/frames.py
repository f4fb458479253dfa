"""The frames of one board, of all time or of a choice of period, each made of what both stores have of it.

Invariants:
- A frame holds at one position and follows the frame before: it has every user that changed between the two.
- The top is read from the projection; where that is unavailable, gone, stale or behind what watchers have
  seen, from the record. What users changed is taken from hints while they follow each other without gap, and
  from the ledger otherwise. So a lost hint, or a lost Redis, costs a query and never a change.
- A user who is hidden is in no top. What changed of it is told to who watches it, marked as hidden.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Final, TypeAlias

from score_service.boards.standings.period_finder import FoundPeriod
from score_service.domain.board.period import ALL_TIME, PeriodChoice, PeriodView
from score_service.domain.ledger.changes import Change, Changes, read_lines
from score_service.domain.ledger.position import Position
from score_service.domain.standings.hint import Hint
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.domain.standings.watch import MAX_TOP
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

    def __init__(
        self,
        board_id: str,
        feeds: Feeds,
        on_frame: OnFrame,
        *,
        hint_seconds: float,
        choice: PeriodChoice | None = None,
    ) -> None:
        """Take who gets each frame, for how long to wait for the hints that lead to one, and what to show."""
        self.newest = Frame(Position.start(board_id), (), {})
        self._board_id = board_id
        self._feeds = feeds
        self._on_frame = on_frame
        self._hint_seconds = hint_seconds
        self._choice = choice
        self._found: FoundPeriod | None = None
        """The period of the newest frame; None for all time."""
        self._looked_at: Position | None = None
        """The head of the ledger when the result of the period was last read."""
        self._hints = HintBuffer(self.newest.position, PENDING_MAX)
        self._received = asyncio.Event()

    @property
    def seconds_left(self) -> float | None:
        """Return for how long the current period goes on, if that is what is shown."""
        if self._choice is None or self._found is None or not self._choice.is_current:
            return None
        return (self._found.period.ends_at - self._feeds.finder.now()).total_seconds()

    async def begin(self, confirm_seconds: float) -> None:
        """Make the first frame.

        Args:
            confirm_seconds: how long to wait for the record to confirm that it has the board.

        Raises:
            BoardNotFoundError: the record does not have the board.
            PeriodUnknownError: the board has no such period, or it has not begun.
            RecordUnavailableError: PostgreSQL was needed, and is unavailable.
        """
        has_projection = False
        with suppress(ProjectionUnavailableError):
            await self._confirm(confirm_seconds)
            has_projection = True
        self._found = await self._find()
        await self._reset(await self._read_top(self._found, has_projection=has_projection))

    async def _read_top(
        self, found: FoundPeriod | None, min_revision: int = 0, *, has_projection: bool = True
    ) -> Reading:
        """Read the top, from the record if the projection is gone or stale, unless only that is there.

        Raises:
            ProjectionUnavailableError: the record has not reached the revision.
            RecordUnavailableError: PostgreSQL was needed, and is unavailable.
        """
        reading = None
        if has_projection and not (found and found.is_final):
            with suppress(ProjectionUnavailableError):
                reading = await self._read_projection(found)
        if reading is not None and reading.position.revision < min_revision:
            reading = None
        if reading is not None and not self._is_stale(reading):
            return reading
        try:
            return await self._read_record(found, min_revision)
        except RecordUnavailableError:
            if reading is None:
                raise
            return reading

    def note(self, hint: Hint) -> bool:
        """Take in a hint; False if it is not newer than the frame, or changes nothing that is shown."""
        if self._is_final:
            return hint.has_visibilities  # They alone change who is in a result.
        is_news = self._hints.note(_select(hint, self._found))
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
        found = await self._find()
        if found and self._found and not found.shows_the_same(self._found):
            await self._turn_over(found)
        self._found = found
        if not self._is_final:
            await self._follow_stores(wanted)
        if self._is_final:
            await self._follow_result(wanted)

    async def _follow_stores(self, wanted: int) -> None:
        try:
            follows = await self._follow_projection()
        except ProjectionUnavailableError:
            follows = False
        if not self._is_final and (not follows or self.newest.position.revision < wanted):
            await self._follow_record(wanted)

    async def _follow_result(self, wanted: int) -> None:
        """Make a frame of a result where users were hidden or shown; nothing else changes it."""
        head = await self._feeds.ledger.read_head(self._board_id)
        if head == self._looked_at and self.newest.position.revision >= wanted:
            return
        reading = await self._read_record(self._found, max(wanted, head.revision))
        self._looked_at = head
        frame, former = self._frame(reading, {}), self.newest
        if former.position.revision < wanted or (frame.top, frame.period) != (former.top, former.period):
            await self._emit(frame)

    @property
    def _is_final(self) -> bool:
        return self._found is not None and self._found.is_final

    async def _find(self) -> FoundPeriod | None:
        """Look up which period is to be shown; None for all time."""
        if self._choice is None:
            return None
        found, shown = await self._feeds.finder.find(self._board_id, self._choice), self._found
        if shown and shown.is_final and found.period_id == shown.period_id and not found.is_final:
            return await self._find_anew(found)  # By the clock it is current, unless the record was restored.
        return found

    async def _find_anew(self, found: FoundPeriod) -> FoundPeriod:
        return await self._feeds.finder.find(self._board_id, found.choice, anew=True)

    async def _turn_over(self, found: FoundPeriod) -> None:
        """Make a frame of another period, or of the result of this one."""
        former = self.newest.position
        try:
            reading = await self._read_top(found, former.revision)
        except ProjectionUnavailableError:  # The record was restored to before the frame.
            self._found = found
            await self._reset(await self._read_top(found))
            return
        scores = await self._read_scores_to(reading, found)
        self._found, self._looked_at = found, None
        self._hints = HintBuffer(reading.position, PENDING_MAX)
        frame = self._frame(reading, scores or {})
        await self._emit(replace(frame, reset=scores is None, turns_over=True))

    async def _read_scores_to(self, reading: Reading, found: FoundPeriod) -> dict[str, Standing] | None:
        """Read from the ledger who changed in a period since the newest frame; None if it does not say."""
        former, hints = self.newest.position, HintBuffer(self.newest.position, PENDING_MAX)
        if reading.position == former:
            return {}
        if not await self._is_known(former) or not await self._is_known(reading.position):
            return None
        return hints.scores_at(reading) if await self._replay(hints, reading.position, found) else None

    async def _confirm(self, seconds: float) -> None:
        """Ask the record whether it has the board, unless it is unavailable."""
        with suppress(RecordUnavailableError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._feeds.projector.known_boards.confirm(self._board_id)

    async def _follow_projection(self) -> bool:
        """Bring the frame to the position of the projection; False if that cannot be shown."""
        for reads_left in reversed(range(_READS_MAX)):
            asked = self._hints.users()
            reading = await self._read_projection(self._found, list(asked))
            if reading is None or self._is_stale(reading):
                return False
            if await self._has_ended(reading):
                return True
            if reading.position == self.newest.position:
                await self._restate(reading.source, reading.entrants)
                return True
            if not await self._wait_for_hints(reading.position) and not await self._read_changes_to(reading):
                return False
            if reading.position == self.newest.position:
                return True  # It was a reset.
            scores = self._hints.scores_at(reading)
            if not reads_left or all(s.rank or s.user_id in asked or not s.total for s in scores.values()):
                await self._emit(self._frame(reading, scores))
                break
        return True

    def _is_stale(self, reading: Reading) -> bool:
        """Return whether the projection lacks what the record had a second ago."""
        return self._feeds.projector.freshness.is_stale(self._board_id, reading.position.revision)

    async def _has_ended(self, reading: Reading) -> bool:
        """Turn over to the result of the period, if its standings are not where they were read any more."""
        found, now = self._found, self._feeds.finder.now()
        if found is None or reading.entrants or not found.may_have_ended(reading.position, now):
            return False
        found = await self._find_anew(found)
        if found.is_final:
            await self._turn_over(found)
        return found.is_final

    async def _follow_record(self, wanted: int) -> None:
        """Bring the frame to the head of the ledger. Ranks below the top are left out."""
        if await self._feeds.ledger.read_head(self._board_id) == self.newest.position:
            period = self.newest.period
            await self._restate(Source.RECORD, period.entrants if period else None)
            return
        reading = await self._read_record(self._found, wanted)
        if await self._has_ended(reading):
            return
        if await self._read_changes_to(reading) and reading.position != self.newest.position:
            await self._emit(self._frame(reading, self._hints.scores_at(reading)))

    async def _read_projection(
        self, found: FoundPeriod | None, user_ids: Sequence[str] = ()
    ) -> Reading | None:
        period_id = found.period_id if found else ALL_TIME
        read = self._feeds.projection.get_standings
        return await read(self._board_id, user_ids, MAX_TOP, period_id=period_id)

    async def _read_record(self, found: FoundPeriod | None, min_revision: int = 0) -> Reading:
        store = self._feeds.results if found and found.is_final else self._feeds.standings
        period_id = found.period_id if found else ALL_TIME
        return await self._feeds.reader.read(
            store.list_standings, self._board_id, MAX_TOP, "", period_id, min_revision=min_revision
        )

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
            or not await self._replay(self._hints, reading.position, self._found)
            or not await self._is_known(self.newest.position)
        ):
            await self._reset(reading)
        return True

    async def _is_known(self, position: Position) -> bool:
        return await self._feeds.ledger.has_position(self._board_id, position)

    async def _replay(self, hints: HintBuffer, upto: Position, found: FoundPeriod | None) -> bool:
        """Take in what the ledger has up to a position after where hints start; False if it is too much."""
        at, users, steps = hints.start, set[str](), list[tuple[Position, Changes]]()
        if upto.revision - at.revision > _REPLAYED_MAX:
            return False
        while at.revision < upto.revision and len(users) <= PENDING_MAX:
            changes = await self._feeds.ledger.read_changes(self._board_id, at, upto.revision)
            if changes is None:
                return False
            steps.append((at, changes))
            users.update(change.user_id for change in _shown(changes, found))
            at = changes.after
        if at != upto or len(users) > PENDING_MAX:
            return False
        changed = [change for _, changes in steps for change in _shown(changes, found)]
        standings = iter(await self._feeds.make_standings(self._board_id, changed, upto.revision))
        for before, changes in steps:
            made = tuple(islice(standings, len(_shown(changes, found))))
            hints.add(Hint(before, changes.after, made))
        return True

    async def _emit(self, frame: Frame) -> None:
        """Hand a frame out. Standings of the top that stay are the same objects, which compare faster."""
        former = {standing: standing for standing in self.newest.top}
        self.newest = replace(frame, top=tuple(former.get(standing, standing) for standing in frame.top))
        self._hints.move_to(frame.position)
        await self._on_frame(self.newest)

    async def _restate(self, source: Source, entrants: int | None) -> None:
        """Have the watchers know which store says that nothing has changed, and how far the period is."""
        period = self._view(entrants)
        if (self.newest.source, self.newest.period) != (source, period):
            unchanged = replace(self.newest, scores={}, source=source, period=period)
            await self._emit(replace(unchanged, reset=False, turns_over=False))

    async def _reset(self, reading: Reading) -> None:
        self._hints = HintBuffer(reading.position, PENDING_MAX)  # Earlier hints may be of the other history.
        await self._emit(replace(self._frame(reading, {}), reset=True))

    def _frame(self, reading: Reading, scores: Mapping[str, Standing]) -> Frame:
        period = self._view(reading.entrants)
        return Frame(reading.position, reading.top, scores, reading.source, period=period)

    def _view(self, entrants: int | None) -> PeriodView | None:
        return self._found.view(self._feeds.finder.now(), entrants or 0) if self._found else None


def _shown(changes: Changes, found: FoundPeriod | None) -> tuple[Change, ...]:
    """Take what the ledger says of a period, or of all time."""
    return read_lines(changes.periods.get(found.period_id, "")) if found else changes.changes


def _select(hint: Hint, found: FoundPeriod | None) -> Hint:
    """Take what a hint says of a period, or of all time."""
    return replace(hint, standings=hint.periods.get(found.period_id, ())) if found else hint
