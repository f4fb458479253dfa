"""What the stream of every board is fed from."""

from collections.abc import Collection
from dataclasses import dataclass

from score_service.boards.standings.period_finder import PeriodFinder
from score_service.boards.standings.shared_reads import RecordReader
from score_service.domain.ledger.changes import Change
from score_service.domain.standings.standing import Standing
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
from score_service.record.corrections import Corrections
from score_service.record.ledger import Ledger
from score_service.record.results import Results
from score_service.record.standings import Standings


@dataclass(frozen=True, slots=True)
class Feeds:
    """The two stores and the archive, and how they are read."""

    ledger: Ledger
    projection: Projection
    projector: Projector
    standings: Standings
    results: Results
    corrections: Corrections
    reader: RecordReader
    finder: PeriodFinder

    async def make_standings(
        self, board_id: str, changes: Collection[Change], revision: int
    ) -> tuple[Standing, ...]:
        """Make standings of what the ledger says of users up to a revision, without ranks.

        The ledger does not say with each award whether its user is hidden, so that is asked for.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        user_ids = {change.user_id for change in changes}
        find = self.corrections.find_visibilities
        hidden = await find(board_id, user_ids, revision) if user_ids else {}
        return tuple(
            Standing(c.user_id, c.total, None, c.reached_revision, hidden=c.user_id in hidden)
            for c in changes
        )
