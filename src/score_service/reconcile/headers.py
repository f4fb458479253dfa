"""Headers of projections, checked against the record: a projection that nobody must read is dropped."""

import structlog

from score_service.projection.projection import Projection
from score_service.projection.replies import Header
from score_service.record.ledger import Ledger

_log = structlog.get_logger(__name__)


class Headers:
    """Reads the header of a board's projection and checks it."""

    def __init__(self, ledger: Ledger, projection: Projection) -> None:
        self._ledger = ledger
        self._projection = projection

    async def find(self, board_id: str) -> Header | None:
        """Read a board's header, and drop its projection where nobody must read it.

        Returns:
            The header; None if there is none, or was none of this record's, or Redis had lost its keys.

        Raises:
            ProjectionUnavailableError: Redis is unavailable.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        # In this order: a header read after the record could be one of its future.
        header = await self._projection.read_header(board_id)
        if header is None:
            return None
        if header.is_whole and await self._ledger.has_position(board_id, header.position):
            return header
        reason = "of another history" if header.is_whole else "with lost keys"
        _log.warning("projection_dropped", board_id=board_id, position=str(header.position), reason=reason)
        await self._projection.drop_board(board_id, header)
        return None


def revisions_behind(header: Header | None, revision: int) -> int:
    """Return by how many revisions a board is behind one; a broken board is behind by all."""
    return max(0, revision - (header.position.revision if header and header.is_whole else 0))
