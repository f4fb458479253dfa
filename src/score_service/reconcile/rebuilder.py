"""Rebuilds a board's projection from the record, beside the one that is read, and switches it in.

Invariants:
- The standings are read page by page, each page at a position of its own, and then the ledger from where it
  stood before the first page. Of each user the newest stays, so the end is the state at one position.
- No more than two pages are held at a time: one is read while the other is loaded.
- It is switched in only if it has as many members as the record had at its position, if the record still
  has every position that was read from, and if nobody else has switched meanwhile.
- A step that a store did not answer is asked again. What was loaded is left where a rebuild ends before it is
  done: the next one, in whichever process, takes it over and goes on from its last step.

Any number of these may work on the same board at once, and any of them may stop at any point.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import replace
from typing import Final, NamedTuple

import structlog

from score_service.domain.checkpoint import Checkpoint
from score_service.domain.position import Position
from score_service.errors import BoardNotFoundError, ProjectionUnavailableError
from score_service.projection.generation import SECONDS_ALONE, Generation, Switched
from score_service.projection.projection import Projection
from score_service.projection.replies import Header
from score_service.reconcile.census import Census
from score_service.reconcile.headers import Headers
from score_service.reconcile.patience import Patience
from score_service.record.ledger import Ledger
from score_service.record.standings import StandingPage, Standings

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


class _GivenUpError(Exception):
    """What was loaded cannot become the projection."""


class Rebuilder:
    """Rebuilds boards."""

    def __init__(
        self,
        ledger: Ledger,
        standings: Standings,
        projection: Projection,
        patience: Patience,
        *,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._ledger = ledger
        self._standings = standings
        self._projection = projection
        self.patience = patience
        self._ask = patience.ask
        self._page_size = page_size
        self._headers = Headers(ledger, projection)
        self._census = Census(ledger, standings, patience)
        self.under_way = 0
        """Rebuilds that have begun and not ended."""
        self.loaded = 0
        """Standings loaded into Redis since the start."""

    async def rebuild(
        self, board_id: str, *, on_progress: Callable[[int], None] = lambda _members: None
    ) -> Rebuilt | None:
        """Rebuild a board's projection.

        Args:
            board_id: the board.
            on_progress: called with the number of standings of each page that was loaded. Where this goes on
                with a rebuild that did not end, it is first called with how many that one had loaded.

        Returns:
            None if it was given up: somebody else was faster, or one of the stores stepped back meanwhile.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
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
            _log.warning("rebuild_abandoned", board_id=board_id, reason=str(reason))
            await self._discard(generation)
            return None
        except BoardNotFoundError:
            await self._discard(generation)
            raise
        finally:
            self.under_way -= 1
        _log.info(
            "projection_rebuilt", board_id=board_id, position=str(rebuilt.position), members=rebuilt.members
        )
        return rebuilt

    async def _find_generation(self, board_id: str, seen: Header | None) -> Generation:
        """Take over the generation that a rebuild has left, or begin one."""
        adopted = await self._projection.adopt_generation(board_id, seen)
        if adopted and adopted.checkpoint:
            _log.info("rebuild_resumed", board_id=board_id, loaded=adopted.checkpoint.members)
            return adopted
        return self._projection.make_generation(board_id, seen)

    @staticmethod
    async def _discard(generation: Generation) -> None:
        with suppress(ProjectionUnavailableError):
            await generation.discard()

    async def _fill(
        self, board_id: str, generation: Generation, on_progress: Callable[[int], None]
    ) -> Rebuilt:
        checkpoint = generation.checkpoint
        if checkpoint:
            on_progress(checkpoint.members)
        else:
            checkpoint = Checkpoint.begin(await self._ask(self._ledger.read_head, board_id))
        checkpoint = await self._load_pages(board_id, generation, checkpoint, on_progress)
        counted, members = await self._census.count_members(board_id)
        await self._replay(board_id, generation, checkpoint, counted)
        await self._require(board_id, checkpoint.read_at)
        return Rebuilt(counted, members)

    async def _switch(self, board_id: str, generation: Generation, filled: Rebuilt) -> Rebuilt:
        """Bring what was filled to the head of the ledger, again while the board itself is further."""
        for _ in range(_CHASES_MAX):
            head = await self._ask(self._ledger.read_head, board_id)
            rest = head.revision - filled.position.revision
            filled = await self._catch_up(board_id, generation, filled, head)
            switched = Switched.BEHIND if rest > _REST_MAX else await self._ask(generation.switch, *filled)
            if switched is Switched.DONE:
                return filled
            if switched is not Switched.BEHIND:
                break
        raise _GivenUpError(switched.value)

    async def _catch_up(
        self, board_id: str, generation: Generation, filled: Rebuilt, upto: Position
    ) -> Rebuilt:
        at = filled.position
        newcomers = await self._ask(self._ledger.list_newcomers, board_id, at.revision, upto.revision)
        checkpoint = generation.checkpoint or Checkpoint.begin(at)
        await self._replay(board_id, generation, replace(checkpoint, replay_from=at), upto)
        return Rebuilt(upto, filled.members + len(newcomers))

    async def _load_pages(
        self,
        board_id: str,
        generation: Generation,
        checkpoint: Checkpoint,
        on_progress: Callable[[int], None],
    ) -> Checkpoint:
        """Load all standings after those that were loaded, and tell how far that led.

        A record that was restored meanwhile may not have what earlier pages had. So the position before is
        asked for again after each later read, before anything of that is loaded.
        """
        tell = _Teller(board_id)
        page = await self._read_page(board_id, checkpoint.last_user_id)
        while page is not None:
            if page.position != checkpoint.read_at:
                await self._require(board_id, checkpoint.read_at)
            reading = asyncio.create_task(self._read_page(board_id, page.last_user_id))
            try:
                checkpoint = await self._load_page(generation, page, checkpoint)
                self.loaded += page.members
                on_progress(page.members)
                tell.loaded(checkpoint.members)
                page = await reading
            finally:
                reading.cancel()
        return checkpoint

    async def _load_page(self, generation: Generation, page: StandingPage, before: Checkpoint) -> Checkpoint:
        """Load a page step by step, and return the checkpoint after it."""
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
            await self._load(generation, step, checkpoint, are_new=not before.may_overlap)
        return after

    async def _read_page(self, board_id: str, after_user_id: str) -> StandingPage | None:
        return await self._ask(self._standings.read_page, board_id, after_user_id, self._page_size)

    async def _replay(
        self, board_id: str, generation: Generation, checkpoint: Checkpoint, upto: Position
    ) -> None:
        """Load what the ledger has from the checkpoint to a position."""
        at = checkpoint.replay_from
        while at.revision < upto.revision:
            changes = await self._ask(self._ledger.read_changes, board_id, at, upto.revision)
            if changes is None:
                break
            await self._require(board_id, at)  # The ledger was read after its number alone.
            at = changes.after
            checkpoint = replace(checkpoint, replay_from=at, may_overlap=True)
            await self._load(generation, changes.lines(), checkpoint)
        if at != upto:
            raise _GivenUpError("the record has another history now")

    async def _require(self, board_id: str, position: Position) -> None:
        if not await self._ask(self._ledger.has_position, board_id, position):
            raise _GivenUpError("the record has another history now")

    async def _load(
        self, generation: Generation, lines: str, checkpoint: Checkpoint, *, are_new: bool = False
    ) -> None:
        if not await self._ask(generation.load, lines, checkpoint, are_new=are_new):
            raise _GivenUpError(Switched.LOST.value)


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
        keeping.cancel()
        await asyncio.wait([keeping])


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
