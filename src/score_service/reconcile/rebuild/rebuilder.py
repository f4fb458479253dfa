"""Rebuilds a board's projection from the record, beside the one that is read, and switches it in.

Invariants:
- The standings are read page by page, each page at a position of its own, and then the ledger from where it
  stood before the first page. Of each user the newest stays, so the end is the state at one position.
- The standings of all time come first, then those of each period that is not final. The ledger tells which
  periods were begun or became final meanwhile.
- No more than two pages are held at a time: one is read while the other is loaded.
- It is switched in only if it has as many members as the record had at its position, and as many who are
  ranked, if the record still has every position that was read from, and if nobody else has switched
  meanwhile.
- A step that a store did not answer is asked again. What was loaded is left where a rebuild ends before it is
  done: the next one, in whichever process, takes it over and goes on from its last step. It begins anew where
  the record was restored meanwhile, or awards were archived, so that it cannot go on from there.

Any number of these may work on the same board at once, and any of them may stop at any point.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

import structlog

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.domain.standings.checkpoint import Checkpoint
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError
from score_service.projection.generation import SECONDS_ALONE, Generation, Source, Switched
from score_service.projection.projection import Projection
from score_service.projection.replies import Header
from score_service.reconcile.headers import Headers
from score_service.reconcile.rebuild.census import Census, Counted
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.ledger import Ledger
from score_service.record.periods import PeriodStore
from score_service.record.standings import StandingPage, Standings
from service_runtime.lifecycle import end_tasks

PAGE_SIZE: Final = 20_000
"""Standings that are read at once. They are loaded in the order of totals: the more they are, the closer they
stand in the sorted set, and the less time Redis takes for each."""
_STEP_SIZE: Final = 500
"""Standings that Redis takes in one script: about 5 ms, in which it answers nobody else."""
_REST_MAX: Final = 2_000
"""Awards that may have been left to replay at the last try but one to switch."""
_CHASES_MAX: Final = 100
"""How often a board may have gone further than its new generation before that is given up."""
_KEEP_SECONDS: Final = SECONDS_ALONE / 4
"""Between two signs of life of a rebuild."""
_PROGRESS_SECONDS: Final = 10.0
"""Between two log lines that tell how far a rebuild has come."""

_log = structlog.get_logger(__name__)


class Rebuilt(NamedTuple):
    """A new generation was switched in."""

    position: Position
    """Where it stood then."""
    members: int
    """Users who have a standing."""
    standings: int
    """The same, and those who have one in each period."""


class _Replayed:
    """What the ledger said of periods on the way to a position."""

    def __init__(self) -> None:
        self.begun = set[str]()
        """Those that anybody got points in, not only for the first time."""
        self.finished = set[str]()

    def note(self, changes: Changes) -> None:
        self.begun.update(changes.periods)
        self.finished.update(changes.finished)


_Tell: TypeAlias = Callable[[int], None]
"""Called with the number of standings that were loaded."""


class _GivenUpError(Exception):
    """What was loaded cannot become the projection."""


class Rebuilder:
    """Rebuilds boards."""

    def __init__(
        self,
        ledger: Ledger,
        standings: Standings,
        periods: PeriodStore,
        projection: Projection,
        retries: RetryPolicy,
        *,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._ledger = ledger
        self._standings = standings
        self._periods = periods
        self._projection = projection
        self.retries = retries
        self._ask = retries.ask
        self._page_size = page_size
        self._headers = Headers(ledger, projection)
        self._census = Census(ledger, standings, retries)
        self.under_way = 0
        """Rebuilds that have begun and not ended."""
        self.loaded = 0
        """Standings loaded into Redis since the start."""

    async def rebuild(self, board_id: str, *, on_progress: _Tell = lambda _: None) -> Rebuilt | None:
        """Rebuild a board's projection.

        Args:
            board_id: the board.
            on_progress: called with the number of standings of each page that was loaded. Where this goes on
                with a rebuild that did not end, it is first called with how many that one had loaded.

        Returns:
            None if it was given up: somebody else was faster, or one of the stores stepped back meanwhile.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            ProjectionUnavailableError: Redis is unavailable, and was for longer than a rebuild waits.
            RecordUnavailableError: PostgreSQL is unavailable, and was so.
        """
        seen = await self._headers.find(board_id)
        generation = await self._find_generation(board_id, seen)
        self.under_way += 1
        try:
            async with _keeping(generation):
                filled = await self._fill(board_id, generation, on_progress)
                rebuilt = await self._switch(board_id, generation, filled)
        except _GivenUpError as reason:
            await self._abandon(board_id, generation, reason)
            return None
        except BoardNotFoundError:
            await self._discard(generation)
            raise
        finally:
            self.under_way -= 1
        _log.info(
            "projection_rebuilt",
            board_id=board_id,
            position=str(rebuilt.position),
            members=rebuilt.members,
            standings=rebuilt.standings,
        )
        return rebuilt

    async def _find_generation(self, board_id: str, seen: Header | None) -> Generation:
        """Take over the generation that a rebuild has left, if the record goes on from it, or begin one."""
        adopted = await self._projection.adopt_generation(board_id, seen)
        if adopted and adopted.checkpoint:
            try:
                async with _keeping(adopted):
                    await self._require(board_id, adopted.checkpoint.replay_from)
                    await self._require(board_id, adopted.checkpoint.read_at)
            except _GivenUpError as reason:
                await self._abandon(board_id, adopted, reason)
            else:
                _log.info("rebuild_resumed", board_id=board_id, loaded=adopted.checkpoint.members)
                return adopted
        return self._projection.make_generation(board_id, seen)

    async def _abandon(self, board_id: str, generation: Generation, reason: _GivenUpError) -> None:
        _log.warning("rebuild_abandoned", board_id=board_id, reason=str(reason))
        await self._discard(generation)

    @staticmethod
    async def _discard(generation: Generation) -> None:
        with suppress(ProjectionUnavailableError):
            await generation.discard()

    async def _fill(self, board_id: str, generation: Generation, on_progress: _Tell) -> Counted:
        """Load what the record has, and count what must be there then."""
        checkpoint = generation.checkpoint
        if checkpoint:
            on_progress(checkpoint.members)
        else:
            checkpoint = Checkpoint.begin(await self._ask(self._ledger.read_head, board_id))
        # A period that begins later is in the ledger after the checkpoint, with all that it has.
        period_ids = await self._list_live(board_id)
        checkpoint = await self._load_pages(board_id, generation, checkpoint, period_ids, on_progress)
        counted = await self._census.count_each(board_id, period_ids)
        replayed = await self._replay(board_id, generation, checkpoint, counted.position)
        await self._require(board_id, checkpoint.read_at)
        begun = replayed.begun.difference(counted.members)
        newcomers = await self._count_newcomers(board_id, checkpoint.replay_from, counted.position, begun)
        return counted._replace(members=_without({**counted.members, **newcomers}, replayed.finished))

    async def _switch(self, board_id: str, generation: Generation, filled: Counted) -> Rebuilt:
        """Bring what was filled to the head of the ledger, again while the board itself is further."""
        for _ in range(_CHASES_MAX):
            head, unranked = await self._census.count_unranked(board_id)
            rest = head.revision - filled.position.revision
            members = await self._catch_up(board_id, generation, filled, head)
            filled = Counted(head, members, unranked)
            switched = (
                Switched.BEHIND if rest > _REST_MAX else await self._try_switch(board_id, generation, filled)
            )
            if switched is Switched.DONE:
                return Rebuilt(head, members[ALL_TIME], sum(members.values()))
            if switched is not Switched.BEHIND:
                break
        raise _GivenUpError(switched.value)

    async def _try_switch(self, board_id: str, generation: Generation, filled: Counted) -> Switched:
        header = await self._ask(self._projection.read_header, board_id)
        former_periods = tuple(header.periods) if header else ()
        return await self._ask(generation.switch, filled.position, filled.headcounts, former_periods)

    async def _catch_up(
        self, board_id: str, generation: Generation, filled: Counted, upto: Position
    ) -> dict[str, int]:
        """Replay the ledger up to a position, and return how many members there are then."""
        at = filled.position
        checkpoint = generation.checkpoint or Checkpoint.begin(at)
        replayed = await self._replay(board_id, generation, replace(checkpoint, replay_from=at), upto)
        newcomers = await self._count_newcomers(board_id, at, upto, (*filled.members, *replayed.begun))
        members = {period_id: filled.members.get(period_id, 0) + n for period_id, n in newcomers.items()}
        return _without(members, replayed.finished)

    async def _count_newcomers(
        self, board_id: str, after: Position, upto: Position, period_ids: Iterable[str]
    ) -> dict[str, int]:
        return {
            period_id: await self._census.count_newcomers(board_id, after, upto, period_id)
            for period_id in dict.fromkeys(period_ids)
        }

    async def _list_live(self, board_id: str) -> list[str]:
        stored = await self._ask(self._periods.list_live, board_id)
        return sorted(each.period.period_id for each in stored)

    async def _load_pages(
        self,
        board_id: str,
        generation: Generation,
        checkpoint: Checkpoint,
        period_ids: Sequence[str],
        on_progress: _Tell,
    ) -> Checkpoint:
        """Load all standings after those that were loaded, and tell how far that led."""
        tell = _Teller(board_id)

        def note(loaded: int, members: int) -> None:
            self.loaded += loaded
            on_progress(loaded)
            tell.loaded(members)

        for period_id in (ALL_TIME, *period_ids):
            if not checkpoint.is_past(period_id):
                checkpoint = await self._load_period(board_id, generation, checkpoint.enter(period_id), note)
        return checkpoint

    async def _load_period(
        self,
        board_id: str,
        generation: Generation,
        checkpoint: Checkpoint,
        note: Callable[[int, int], None],
    ) -> Checkpoint:
        """Load the pages of all time or of a period after those that were loaded.

        A record that was restored meanwhile may not have what earlier pages had. So the position before is
        asked for again after each later read, before anything of that is loaded.
        """
        page = await self._read_page(board_id, checkpoint.last_user_id, checkpoint.period_id)
        while page is not None:
            if page.position != checkpoint.read_at:
                await self._require(board_id, checkpoint.read_at)
            reading = asyncio.create_task(self._read_page(board_id, page.last_user_id, checkpoint.period_id))
            try:
                checkpoint = await self._load_page(generation, page, checkpoint)
                note(page.members, checkpoint.members)
                page = await reading
            finally:
                reading.cancel()
        return checkpoint

    async def _load_page(self, generation: Generation, page: StandingPage, before: Checkpoint) -> Checkpoint:
        """Load a page step by step, and return the checkpoint after it."""
        source = Source.PAGE if before.may_overlap else Source.NEW_PAGE
        after = replace(
            before,
            read_at=page.position,
            members=before.members + page.members,
            last_user_id=page.last_user_id,
        )
        begun = replace(before, read_at=page.position, may_overlap=True)
        lines = page.lines.split("\n")
        for first in range(0, len(lines), _STEP_SIZE):
            is_last = first + _STEP_SIZE >= len(lines)
            step = "\n".join(lines[first : first + _STEP_SIZE])
            # Pages follow each other by user, so no user is on two.
            checkpoint = after if is_last else begun
            loaded = {before.period_id: step}
            await self._load(generation, loaded, checkpoint, source=source)
        return after

    async def _read_page(self, board_id: str, after_user_id: str, period_id: str) -> StandingPage | None:
        return await self._ask(self._standings.read_page, board_id, after_user_id, self._page_size, period_id)

    async def _replay(
        self, board_id: str, generation: Generation, checkpoint: Checkpoint, upto: Position
    ) -> _Replayed:
        """Load what the ledger has from the checkpoint to a position."""
        at, replayed = checkpoint.replay_from, _Replayed()
        while at.revision < upto.revision:
            changes = await self._ask(self._ledger.read_changes, board_id, at, upto.revision)
            if changes is None:
                break
            await self._require(board_id, at)  # The ledger was read after its number alone.
            at = changes.after
            replayed.note(changes)
            checkpoint = replace(checkpoint, replay_from=at, may_overlap=True)
            lines = {period_id: changes.lines(period_id) for period_id in (ALL_TIME, *changes.periods)}
            await self._load(generation, lines, checkpoint, finished=changes.finished)
        if at != upto:
            raise _GivenUpError("the record has another history now")
        return replayed

    async def _require(self, board_id: str, position: Position) -> None:
        if not await self._ask(self._ledger.has_position, board_id, position):
            raise _GivenUpError("the record has another history now")

    async def _load(
        self,
        generation: Generation,
        lines: Mapping[str, str],
        checkpoint: Checkpoint,
        *,
        finished: Sequence[str] = (),
        source: Source = Source.LEDGER,
    ) -> None:
        if not await self._ask(generation.load, lines, checkpoint, finished=finished, source=source):
            raise _GivenUpError(Switched.LOST.value)


def _without(members: Mapping[str, int], finished: Iterable[str]) -> dict[str, int]:
    """Leave out the periods that are in the projection no more."""
    return {period_id: count for period_id, count in members.items() if period_id not in finished}


@asynccontextmanager
async def _keeping(generation: Generation) -> AsyncIterator[None]:
    """Keep a generation alive also where the time between two steps is long, as while members are counted."""

    async def keep() -> None:
        while True:
            with suppress(ProjectionUnavailableError):
                await generation.keep()
            await asyncio.sleep(_KEEP_SECONDS)

    keeping = asyncio.create_task(keep(), name="keeper", context=Context())
    try:
        yield
    finally:
        await end_tasks(keeping)


class _Teller:
    """Logs how far a rebuild has come, now and then."""

    def __init__(self, board_id: str) -> None:
        self._board_id = board_id
        self._clock = asyncio.get_running_loop().time
        self._next_at = self._clock() + _PROGRESS_SECONDS

    def loaded(self, members: int) -> None:
        """Take note of how many standings have been loaded."""
        if self._clock() >= self._next_at:
            _log.info("rebuild_progress", board_id=self._board_id, loaded=members)
            self._next_at = self._clock() + _PROGRESS_SECONDS
