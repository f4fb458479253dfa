"""Moves the projection along the ledger: right after a commit, and in a loop whatever was left behind.

Only positions of the record are applied. A projection that is ahead of the record or of another history, or
whose keys are not whole, is dropped as soon as it is seen, and then rebuilt by `rebuilder.py`.

Any number of these may work on the same boards at once: the scripts compare and set.
"""

import asyncio
from collections.abc import Callable, Sequence

from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.errors import ProjectionUnavailableError
from score_service.projection.projection import Projection
from score_service.projection.replies import Applied
from score_service.reconcile.freshness import Freshness
from score_service.reconcile.headers import Headers, revisions_behind
from score_service.reconcile.known_boards import KnownBoards
from score_service.reconcile.rebuild.rebuilder import Rebuilder
from score_service.reconcile.repairs import Repairs, is_near
from score_service.reconcile.scanner import Scanner
from score_service.record.ledger import Ledger


class Projector:
    """Keeps the projection at the head of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        projection: Projection,
        rebuilder: Rebuilder,
        *,
        timeout_seconds: float = 3.0,
        on_commit: Callable[[Changes], None] = lambda _changes: None,
    ) -> None:
        """Take how to keep the ranks up with the record.

        Args:
            ledger: The record.
            projection: The ranks.
            rebuilder: What makes them anew.
            timeout_seconds: How long a caller waits to be caught up, at most; the repair takes its time.
            on_commit: Called with each commit of this process, before it is projected.
        """
        self._on_commit = on_commit
        self._projection = projection
        self._timeout_seconds = timeout_seconds
        self._headers = Headers(ledger, projection)
        self.known_boards = KnownBoards(ledger, self._headers)
        self.freshness = Freshness()
        self.repairs = Repairs(ledger, projection, rebuilder)
        self.scanner = Scanner(ledger, projection, self.repairs, self.known_boards, self.freshness)

    async def project(self, changes: Changes) -> dict[str, int]:
        """Bring a board's projection to `changes.after` or further, unless it is far behind.

        Returns:
            The ranks of the users that changed, best 1; without those that Redis does not have any more, and
            without any while the board is being repaired.

        Raises:
            ProjectionUnavailableError: Redis is unavailable. The loop will catch up.
            RecordUnavailableError: PostgreSQL is unavailable, and was needed to fill a gap.
        """
        self._on_commit(changes)
        board_id, after = changes.board_id, changes.after.revision
        try:
            outcome = await self._projection.apply_changes(changes)
        except ProjectionUnavailableError:
            self.freshness.note_lack(board_id, after)
            raise
        if isinstance(outcome, Applied):
            return outcome.ranks
        header = await self._headers.find(board_id)
        if not is_near(header, after):
            self.repairs.begin(board_id)
            return {}
        if revisions_behind(header, after):
            await self.catch_up(board_id)
        user_ids = [change.user_id for change in changes.changes]
        return await self.ranks_at(board_id, user_ids, after)

    async def ranks_at(self, board_id: str, user_ids: Sequence[str], revision: int) -> dict[str, int]:
        """Return the ranks of users at a revision or later.

        Returns:
            The ranks, best 1; without those that are not known, and without any while the board is being
            rebuilt.

        Raises:
            ProjectionUnavailableError: Redis is unavailable, or far behind.
            RecordUnavailableError: PostgreSQL is unavailable, and was needed.
        """
        reading = await self._projection.get_standings(board_id, user_ids)
        if reading is not None and reading.position.revision < revision:
            await self.catch_up(board_id)
            reading = await self._projection.get_standings(board_id, user_ids)
        if reading is None:
            self.repairs.begin(board_id)
        if reading is None or reading.position.revision < revision:
            return {}
        return {standing.user_id: standing.rank for standing in reading.users if standing.rank}

    async def catch_up(self, board_id: str) -> Position:
        """Bring a board's projection to the head of its ledger, from wherever it is.

        Returns:
            The position that it reached.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            ProjectionUnavailableError: Redis is unavailable, or so far behind that it takes longer; or the
                process ends.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if earlier := self.repairs.find(board_id):
                    # It may have looked at the head before what the caller knows of was written.
                    await asyncio.wait([earlier])
                repair = self.repairs.begin(board_id)
                await asyncio.wait([repair])
        except TimeoutError:
            raise ProjectionUnavailableError from None
        if repair.cancelled():
            raise ProjectionUnavailableError
        return repair.result()
