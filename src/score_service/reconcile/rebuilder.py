"""Rebuilds a board's projection from the record, beside the one that is read, and switches it in.

Invariants:
- The standings are read page by page, each page at a position of its own, and then the ledger from where it
  stood before the first page. Of each user the newest stays, so the end is the state at one position.
- No more than two pages are held at a time: one is read while the other is loaded.
- It is switched in only if it has as many members as the record had at its position, if the record still
  has every position that was read from, and if nobody else has switched meanwhile.

Any number of these may work on the same board at once, and any of them may stop at any point.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from score_service.domain.position import Position
from score_service.errors import ProjectionUnavailableError
from score_service.projection.generation import Generation, Switched
from score_service.projection.projection import Projection
from score_service.reconcile.headers import Headers
from score_service.record.ledger import Ledger
from score_service.record.standings import StandingPage, Standings

PAGE_SIZE: Final = 2_500
"""Standings that Redis takes in one script, in less than 20 ms."""
_REST_MAX: Final = 2_000
"""Awards that may have been left to replay at the last try but one to switch."""
_CHASES_MAX: Final = 100
"""How often a board may have gone further than its new generation before that is given up."""

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
        self, ledger: Ledger, standings: Standings, projection: Projection, *, page_size: int = PAGE_SIZE
    ) -> None:
        self._ledger = ledger
        self._standings = standings
        self._projection = projection
        self._page_size = page_size
        self._headers = Headers(ledger, projection)

    async def rebuild(
        self, board_id: str, *, on_progress: Callable[[int], None] = lambda _members: None
    ) -> Rebuilt | None:
        """Rebuild a board's projection.

        Args:
            board_id: the board.
            on_progress: called with the number of standings of each page that was loaded.

        Returns:
            None if it was given up: somebody else was faster, or one of the stores stepped back meanwhile.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            ProjectionUnavailableError: Redis is unavailable.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        seen = await self._headers.find(board_id)
        generation = self._projection.make_generation(board_id, seen)
        try:
            filled = await self._fill(board_id, generation, on_progress)
            rebuilt = await self._switch(board_id, generation, filled)
        except _GivenUpError as reason:
            _log.warning("rebuild_abandoned", board_id=board_id, reason=str(reason))
            return None
        finally:
            with suppress(ProjectionUnavailableError):
                await generation.discard()
        _log.info(
            "projection_rebuilt", board_id=board_id, position=str(rebuilt.position), members=rebuilt.members
        )
        return rebuilt

    async def _fill(
        self, board_id: str, generation: Generation, on_progress: Callable[[int], None]
    ) -> Rebuilt:
        start = await self._ledger.read_head(board_id)
        last_read = await self._load_pages(board_id, generation, start, on_progress)
        counted, members = await self._standings.count_members(board_id)
        await self._replay(board_id, generation, start, counted)
        await self._require(board_id, last_read)
        return Rebuilt(counted, members)

    async def _switch(self, board_id: str, generation: Generation, filled: Rebuilt) -> Rebuilt:
        """Bring what was filled to the head of the ledger, again while the board itself is further."""
        for _ in range(_CHASES_MAX):
            head = await self._ledger.read_head(board_id)
            rest = head.revision - filled.position.revision
            filled = await self._catch_up(board_id, generation, filled, head)
            switched = Switched.BEHIND if rest > _REST_MAX else await generation.switch(*filled)
            if switched is Switched.DONE:
                return filled
            if switched is not Switched.BEHIND:
                break
        raise _GivenUpError(switched.value)

    async def _catch_up(
        self, board_id: str, generation: Generation, filled: Rebuilt, upto: Position
    ) -> Rebuilt:
        at = filled.position
        newcomers, _ = await asyncio.gather(
            self._ledger.count_newcomers(board_id, at.revision, upto.revision),
            self._replay(board_id, generation, at, upto),
        )
        return Rebuilt(upto, filled.members + newcomers)

    async def _load_pages(
        self, board_id: str, generation: Generation, at: Position, on_progress: Callable[[int], None]
    ) -> Position:
        """Load all standings, and return at which position the last of them were read.

        A record that was restored meanwhile may not have what earlier pages had. So the position before is
        asked for again after each later read.
        """
        page = await self._read_page(board_id, "")
        while page is not None:
            # Pages follow each other by user, so no user is on two.
            loading = self._load(generation, page.lines, are_new=True)
            _, following = await asyncio.gather(loading, self._read_page(board_id, page.last_user_id))
            on_progress(page.members)
            if page.position != at:
                await self._require(board_id, at)
            at, page = page.position, following
        return at

    async def _read_page(self, board_id: str, after_user_id: str) -> StandingPage | None:
        return await self._standings.read_page(board_id, after_user_id, self._page_size)

    async def _replay(self, board_id: str, generation: Generation, at: Position, upto: Position) -> None:
        """Load what the ledger has from one position to another."""
        while at.revision < upto.revision:
            changes = await self._ledger.read_changes(board_id, at, upto.revision)
            if changes is None:
                break
            await self._require(board_id, at)  # The ledger was read after its number alone.
            await self._load(generation, changes.lines())
            at = changes.after
        if at != upto:
            raise _GivenUpError("the record has another history now")

    async def _require(self, board_id: str, position: Position) -> None:
        if not await self._ledger.has_position(board_id, position):
            raise _GivenUpError("the record has another history now")

    @staticmethod
    async def _load(generation: Generation, lines: str, *, are_new: bool = False) -> None:
        if not await generation.load(lines, are_new=are_new):
            raise _GivenUpError(Switched.LOST.value)
