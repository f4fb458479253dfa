"""What the stream of every board is fed from."""

from dataclasses import dataclass

from score_service.boards.period_finder import PeriodFinder
from score_service.boards.shared_reads import RecordReader
from score_service.projection.projection import Projection
from score_service.reconcile.projector import Projector
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
    reader: RecordReader
    finder: PeriodFinder
