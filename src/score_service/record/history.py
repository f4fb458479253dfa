"""The ledger as one looks back on it: awards, what became of them, and what taking some back would do.

It only reads. Awards are found by user through an index of their own, see migration 0004.
"""

from datetime import UTC

from psycopg.rows import DictRow

from score_service.domain.ledger.history import (
    AwardFilter,
    AwardPage,
    LedgerAward,
    PlannedReversals,
    RankMove,
    SelectedAward,
)
from score_service.domain.ledger.reversal import Reversal
from score_service.record.corrections import read_reversal
from score_service.record.database import BULK_SECONDS, Database
from score_service.record.ledger import write_array


class History:
    """Looks back. Every method raises `RecordUnavailableError`."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all

    async def list_awards(
        self, board_id: str, user_id: str | None, before_revision: int, limit: int
    ) -> AwardPage:
        """List awards after the cut, the newest first; none where there is no such board.

        Args:
            board_id: the board.
            user_id: of this user alone; None for all.
            before_revision: of the last one of the page before; `MAX_REVISION` for the first page.
            limit: how many, at most.
        """
        parameters = {
            "board_id": board_id,
            "user_id": user_id,
            "before_revision": before_revision,
            "limit": limit,
        }
        rows = await self._fetch_all("list_awards", parameters)
        reversals = await self._find_reversals(board_id, [row["award_id"] for row in rows if row["reversed"]])
        return AwardPage(
            [_read_award(row, reversals.get(row["award_id"])) for row in rows if row["revision"] is not None],
            rows[0]["archived_revision"] or 0,
        )

    async def select_awards(
        self, board_id: str, chosen: AwardFilter, after_revision: int, upto_revision: int, limit: int
    ) -> list[SelectedAward]:
        """Select awards that stand, after a revision and up to another one, in order: `limit` at most.

        None is selected that is archived, as none is planned with.
        """
        parameters = {
            "board_id": board_id,
            **chosen._asdict(),
            "after_revision": after_revision,
            "upto_revision": upto_revision,
            "limit": limit,
        }
        rows = await self._fetch_all("select_awards", parameters, BULK_SECONDS)
        return [SelectedAward(**row) for row in rows]

    async def plan_reversals(
        self, board_id: str, chosen: AwardFilter, upto_revision: int
    ) -> PlannedReversals:
        """Return what taking back the awards of a filter up to a revision would do, without reversed ones."""
        parameters = {"board_id": board_id, **chosen._asdict(), "upto_revision": upto_revision}
        rows = await self._fetch_all("plan_reversals", parameters, BULK_SECONDS)
        moves = tuple(
            RankMove._make(row[field] for field in RankMove._fields)
            for row in rows
            if row["user_id"] is not None  # Where nobody moves there still is a row, for the sums.
        )
        return PlannedReversals(rows[0]["awards"], rows[0]["points"], rows[0]["users"], moves)

    async def _find_reversals(self, board_id: str, award_ids: list[str]) -> dict[str, Reversal]:
        if not award_ids:
            return {}
        parameters = {"board_id": board_id, "award_ids": write_array(award_ids), "reversal_ids": "{}"}
        found = map(read_reversal, await self._fetch_all("find_reversals", parameters))
        return {reversal.award_id: reversal for reversal in found}


def _read_award(row: DictRow, reversal: Reversal | None) -> LedgerAward:
    return LedgerAward(
        award_id=row["award_id"],
        revision=row["revision"],
        user_id=row["user_id"],
        points=row["points"],
        total=row["total_after"],
        action_type=row["action_type"],
        action_id=row["action_id"],
        caller=row["caller"],
        trace_id=row["trace_id"],
        recorded_at=row["awarded_at"].astimezone(UTC),
        occurred_at=row["occurred_at"].astimezone(UTC) if row["occurred_at"] else None,
        periods=tuple(row["period_ids"] or ()),
        reversal=reversal,
    )
