"""Corrections in PostgreSQL: awards that are taken back, and users who are hidden.

Invariants:
- An award is taken back once, by one reversal, however many callers ask for it and however often.
- Standings become what they would be had the award never been made, in the transaction that says so, in every
  period whose standings are not frozen.
- Each correction is an entry of the ledger, which says what the standings became.

It knows nothing of Redis, ranks or callers.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TypeAlias

from psycopg.rows import DictRow

from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.reversal import (
    AwardArchived,
    AwardMissing,
    Reversal,
    ReversalConflict,
    ReversalRequest,
    ReversedBatch,
)
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import BoardNotFoundError, RecordUnavailableError, StandingNotFoundError
from score_service.record.database import Database
from score_service.record.ledger import Ledger, write_array

ReversalResult: TypeAlias = Reversal | ReversalConflict | AwardMissing | AwardArchived
"""What became of a reversal that was asked for."""


@dataclass(frozen=True, slots=True)
class VisibilitySet:
    """What became of setting who may see a user."""

    changes: Changes
    """`before` and `after` are the same where nothing was new."""
    before: Visibility
    visibility: Visibility
    revision: int
    """Of the entry that says so: an earlier one where nothing was new, 0 for a user who was never hidden."""
    position: Position
    """Where the ledger stood then."""


class Corrections:
    """The store of corrections. Every method raises `RecordUnavailableError`."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all
        self._ledger = Ledger(database)

    async def reverse_awards(
        self, board_id: str, requests: Sequence[ReversalRequest], *, actor: str, trace_id: str
    ) -> ReversedBatch:
        """Take those awards back that stand, in one commit, and read all reversals that were asked for.

        Asked for again, it finds what it did the first time.

        Args:
            board_id: the board of every award.
            requests: 1 to 250, of distinct awards and with distinct ids.
            actor: the SPIFFE id of the caller.
            trace_id: 32 hex digits, or empty.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            RecordUnavailableError: PostgreSQL is unavailable; the outcome is unknown.
        """
        (row,) = await self._fetch_all(
            "reverse_awards",
            {
                **_ids_of(board_id, requests),
                "reasons": [json.dumps(request.reason) for request in requests],
                "on_behalf_of": [json.dumps(request.on_behalf_of) for request in requests],
                "actor": actor,
                "trace_id": trace_id,
            },
        )
        changes = await self._read_commit(board_id, row)
        made = {ordinal - 1 for ordinal in row["made"]}
        others = [request for ordinal, request in enumerate(requests) if ordinal not in made]
        rows = list[DictRow]()
        if made:
            commit = {"board_id": board_id, "last_revision": changes.after.revision}
            rows += await self._fetch_all("list_reversals", commit)
        if others:  # They are looked up one by one, which takes many times as long.
            rows += await self._fetch_all("find_reversals", _ids_of(board_id, others))
        found = _Reversals(map(read_reversal, rows))
        results = tuple(map(found.answer, requests))
        is_new = tuple(ordinal in made for ordinal in range(len(requests)))
        if not all(isinstance(results[ordinal], Reversal) for ordinal in made):
            # Another server answered than the one that wrote them: one that was promoted meanwhile.
            raise RecordUnavailableError
        return ReversedBatch(changes, await self._find_archived(board_id, requests, results), is_new)

    async def set_visibility(
        self,
        board_id: str,
        user_id: str,
        visibility: Visibility,
        reason: str,
        *,
        actor: str,
        on_behalf_of: str,
        trace_id: str,
    ) -> VisibilitySet:
        """Set who may see a user; nothing is written where that is so already.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            StandingNotFoundError: the user never had points on it.
            RecordUnavailableError: PostgreSQL is unavailable; the outcome is unknown.
        """
        parameters = {
            "board_id": board_id,
            "user_id": user_id,
            "visibility": visibility.value,
            "reason": json.dumps(reason),
            "on_behalf_of": json.dumps(on_behalf_of),
            "actor": actor,
            "trace_id": trace_id,
        }
        (row,) = await self._fetch_all("set_visibility", parameters)
        changes = await self._read_commit(board_id, row)
        if row["before"] is None:
            raise StandingNotFoundError
        before = Visibility(row["before"])
        return VisibilitySet(changes, before, visibility, row["revision"], changes.after)

    async def list_reversals_after(
        self, board_id: str, period_id: str, limit: int
    ) -> tuple[int, tuple[Reversal, ...]]:
        """List the awards of a final period that were taken back after its result was final.

        Returns:
            How many they are, and the newest of them, at most `limit`, the newest first.
        """
        parameters = {"board_id": board_id, "period_id": period_id, "limit": limit}
        rows = await self._fetch_all("list_reversals_after", parameters)
        count = rows[0]["reversals"] if rows else 0
        return count, tuple(read_reversal(row) for row in rows if row["revision"] is not None)

    async def find_visibilities(
        self, board_id: str, user_ids: Iterable[str], revision: int
    ) -> Mapping[str, Visibility]:
        """Return who of some users was not visible to all at a revision."""
        parameters = {"board_id": board_id, "user_ids": list(user_ids), "revision": revision}
        rows = await self._fetch_all("find_visibilities", parameters)
        return {row["user_id"]: Visibility(row["visibility"]) for row in rows}

    async def _find_archived(
        self, board_id: str, requests: Sequence[ReversalRequest], results: Sequence[ReversalResult]
    ) -> tuple[ReversalResult, ...]:
        """Distinguish archived awards from those that were never made."""
        missing = [
            request.award_id
            for request, result in zip(requests, results, strict=True)
            if isinstance(result, AwardMissing)
        ]
        if not missing:
            return tuple(results)
        archived = await self._ledger.find_archived(board_id, missing)
        return tuple(
            AwardArchived(archived.position) if request.award_id in archived.revisions else result
            for request, result in zip(requests, results, strict=True)
        )

    async def _read_commit(self, board_id: str, row: DictRow) -> Changes:
        """Read what a commit changed."""
        if row["from_revision"] is None:
            raise BoardNotFoundError
        before = Position.of(row["from_revision"], row["from_digest"])
        after = Position.of(row["to_revision"], row["to_digest"])
        if before == after:
            return Changes(board_id, before, after, ())
        changes = await self._ledger.read_changes(board_id, before, after.revision)
        if changes is None or changes.after != after:  # By another server, see above.
            raise RecordUnavailableError
        return changes


class _Reversals:
    """Reversals of a board, by their awards and by their ids."""

    def __init__(self, reversals: Iterator[Reversal]) -> None:
        self._by_award: dict[str, Reversal] = {}
        self._by_id: dict[str, Reversal] = {}
        for reversal in reversals:
            self._by_award[reversal.award_id] = self._by_id[reversal.reversal_id] = reversal

    def answer(self, request: ReversalRequest) -> Reversal | ReversalConflict | AwardMissing:
        """Return what a request is answered with."""
        standing = self._by_award.get(request.award_id) or self._by_id.get(request.reversal_id)
        if standing is None:
            return AwardMissing()
        is_asked = (standing.award_id, standing.reversal_id) == (request.award_id, request.reversal_id)
        return standing if is_asked else ReversalConflict(standing)


def _ids_of(board_id: str, requests: Sequence[ReversalRequest]) -> dict[str, object]:
    """Write which awards of a board are asked for, and by which reversals."""
    return {
        "board_id": board_id,
        "award_ids": write_array(request.award_id for request in requests),
        "reversal_ids": write_array(request.reversal_id for request in requests),
    }


def read_reversal(row: DictRow) -> Reversal:
    """Read a reversal from its entry and the commit that holds it."""
    body = json.loads(row["body"])
    return Reversal(
        reversal_id=body["reversal_id"],
        award_id=body["award_id"],
        award_revision=body["award_revision"],
        user_id=body["user_id"],
        points=body["points"],
        total=body["standings"][0][1],  # Of all time, which comes first.
        revision=row["revision"],
        position=Position.of(row["commit_revision"], row["commit_digest"]),
        reason=body["reason"],
        actor=row["actor"],
        on_behalf_of=body["on_behalf_of"],
        recorded_at=row["entered_at"].astimezone(UTC),
        final_periods=tuple(body["final_periods"]),
    )
