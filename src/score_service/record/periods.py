"""The periods of boards in PostgreSQL: their settings, what was opened, and how a period becomes final.

A period is final in steps, each of which any process may take, repeat or leave to another:

1. its standings are frozen, by whichever transaction locks the board after `final_at`;
2. they are archived, page by page, with their ranks;
3. its entry is written to the ledger, once;
4. its standings are removed, page by page.

Invariants:
- A period is stored with its first award, and its instants never change.
- No step but the third writes to the ledger, and none holds the board's lock while it looks at standings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from psycopg.rows import DictRow

from score_service.domain.board.period import Period, PeriodKind, StoredPeriod
from score_service.domain.ledger.changes import Changes
from score_service.domain.ledger.position import Position
from score_service.record.database import BULK_SECONDS, Database

KEPT_RANKS: Final = 1000
"""What is kept of results that are not kept in full, as migration 0003 has it."""

_LAST: Final = (datetime.max.replace(tzinfo=UTC), 2**31)


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """The settings of a board, or those that it would get with its first award."""

    revision: int
    """Of their entry in the ledger; of the default, whose versions begin with 1, below 0."""
    text: str
    """Compact JSON, as it was saved."""


@dataclass(frozen=True, slots=True)
class DuePeriod:
    """A period that is to be made final, or is so and still has standings."""

    board_id: str
    stored: StoredPeriod
    due_seconds: float
    """Since its `final_at`."""


@dataclass(frozen=True, slots=True)
class ArchivedPage:
    """A run of the result of a period."""

    last_rank: int
    lines: bytes
    """Of each user, in the order of ranks, a line of rank, user id, total and reached revision."""
    frozen_digest: bytes
    """Of the commit at which the standings were frozen: a restored record may have another one."""


@dataclass(frozen=True, slots=True)
class RemovedPage:
    """Standings that were removed."""

    count: int
    last_user_id: str


class PeriodStore:
    """The store of periods, and of settings to read. Every method raises `RecordUnavailableError`."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all
        self._fetch_reachable = database.fetch_reachable

    async def find_settings(self, board_id: str) -> StoredSettings | None:
        """Return the settings of a board, or the default if there is no such board; None if it has none."""
        rows = await self._fetch_all("find_settings", {"board_id": board_id})
        return StoredSettings(rows[0]["revision"], rows[0]["settings"]) if rows else None

    async def list_live(self, board_id: str) -> list[StoredPeriod]:
        """List the periods of a board that are not final, in the order of their numbers."""
        return _all_stored(await self._fetch_all("list_live_periods", {"board_id": board_id}))

    async def list_recent(self, board_id: str, period_ids: Iterable[str] = ()) -> list[StoredPeriod]:
        """List what is not final, the final period of each kind that ended last, and those that are named.

        They are in the order of their numbers.
        """
        parameters = {"board_id": board_id, "period_ids": list(period_ids)}
        return _all_stored(await self._fetch_all("list_recent_periods", parameters))

    async def find(self, board_id: str, period_id: str) -> StoredPeriod | None:
        """Return a period of a board; None if nobody has points in it."""
        rows = await self._fetch_all("find_period", {"board_id": board_id, "period_id": period_id})
        return _stored(rows[0]) if rows else None

    async def find_last_final(self, board_id: str, kind: PeriodKind) -> StoredPeriod | None:
        """Return the final period of a kind that ended last; None if there is none."""
        parameters = {"board_id": board_id, "kind": kind.value}
        rows = await self._fetch_all("find_last_final_period", parameters)
        return _stored(rows[0]) if rows else None

    async def list_periods(
        self,
        board_id: str,
        kind: PeriodKind | None,
        limit: int,
        before: tuple[datetime, int] = _LAST,
    ) -> list[StoredPeriod]:
        """List periods of a board, the last to end first.

        Args:
            board_id: the board.
            kind: of this kind alone; None for all.
            limit: how many, at most.
            before: the end and the number of the last one of the page before.
        """
        parameters = {
            "board_id": board_id,
            "kind": kind.value if kind else None,
            "before_end": before[0],
            "before_number": before[1],
            "limit": limit,
        }
        return _all_stored(await self._fetch_all("list_periods", parameters))

    async def list_due(self, limit: int) -> list[DuePeriod]:
        """List periods of all boards that are to be made final, or to let go of standings, by `final_at`.

        Boards on nodes of the database that are unavailable are left out.
        """
        rows, _ = await self._fetch_reachable(
            "list_due_periods", "list_reachable_due_periods", {"limit": limit}
        )
        return [DuePeriod(row["board_id"], _stored(row), row["due_seconds"]) for row in rows]

    async def count_unfinished(self) -> int:
        """Count the periods of all boards that are not final."""
        (row,) = await self._fetch_all("count_unfinished_periods", {})
        return int(row["periods"])

    async def freeze_periods(self, board_id: str) -> None:
        """Freeze the standings of all periods of a board that are due. Awards do so as well."""
        await self._fetch_all("freeze_periods", {"board_id": board_id})

    async def archive_page(
        self, board_id: str, period_id: str, after_rank: int, limit: int
    ) -> ArchivedPage | None:
        """Archive a page of the standings of a frozen period, or read it if it is archived.

        Args:
            board_id: the board.
            period_id: the period.
            after_rank: the last rank of the page before; 0 for the first.
            limit: how many, at most.

        Returns:
            None where the period is not frozen or is final. A page without lines where there are no more.
        """
        parameters = {
            "board_id": board_id,
            "period_id": period_id,
            "after_rank": after_rank,
            "limit": limit,
        }
        (row,) = await self._fetch_all("archive_page", parameters, BULK_SECONDS)
        if row["frozen_digest"] is None:
            return None
        return ArchivedPage(
            row["last_rank"] or after_rank, (row["lines"] or "").encode(), row["frozen_digest"]
        )

    async def close_period(
        self, board_id: str, period_id: str, entrants: int, digest: bytes, frozen_digest: bytes, actor: str
    ) -> Changes | None:
        """Make a period final that is archived to the end.

        Args:
            board_id: the board.
            period_id: the period.
            entrants: how many users have points in it.
            digest: see `StoredPeriod.digest`.
            frozen_digest: see `ArchivedPage`.
            actor: who does so.

        Returns:
            The commit, which changes no standing; None if the period is not frozen, was final before, or is
            not archived to the end, as in a record that was restored meanwhile.
        """
        parameters = {
            "board_id": board_id,
            "period_id": period_id,
            "entrants": entrants,
            "digest": digest,
            "frozen_digest": frozen_digest,
            "actor": actor,
        }
        (row,) = await self._fetch_all("close_period", parameters)
        if row["from_revision"] == row["to_revision"]:
            return None
        return _commit(board_id, row, finished=(period_id,))

    async def forget_standings(
        self, board_id: str, period_id: str, after_user_id: str, limit: int
    ) -> RemovedPage | None:
        """Remove a page of the standings of a final period; None where there are no more."""
        parameters = {
            "board_id": board_id,
            "period_id": period_id,
            "after_user_id": after_user_id,
            "limit": limit,
        }
        (row,) = await self._fetch_all("forget_standings", parameters, BULK_SECONDS)
        return RemovedPage(row["removed"], row["last_user_id"]) if row["removed"] else None

    async def prune_results(self, board_id: str, kind: PeriodKind, keep: int, limit: int) -> int:
        """Remove a page of the results of a kind below their top `KEPT_RANKS`.

        Args:
            board_id: the board.
            kind: the kind.
            keep: so many final periods that ended last are kept in full, 1 or more.
            limit: how many rows, at most.

        Returns:
            How many rows were removed; 0 where there are no more.
        """
        parameters = {"board_id": board_id, "kind": kind.value, "keep": keep, "limit": limit}
        (row,) = await self._fetch_all("prune_results", parameters, BULK_SECONDS)
        return int(row["removed"])


def _commit(board_id: str, row: DictRow, finished: tuple[str, ...] = ()) -> Changes:
    before = Position.of(row["from_revision"], row["from_digest"])
    return Changes(board_id, before, Position.of(row["to_revision"], row["to_digest"]), (), {}, finished)


def _all_stored(rows: Iterable[DictRow]) -> list[StoredPeriod]:
    return [_stored(row) for row in rows]


def _stored(row: DictRow) -> StoredPeriod:
    return StoredPeriod(
        period=Period(
            period_id=row["period_id"],
            kind=PeriodKind(row["kind"]),
            starts_at=row["starts_at"].astimezone(UTC),
            ends_at=row["ends_at"].astimezone(UTC),
            closes_at=row["closes_at"].astimezone(UTC),
            final_at=row["final_at"].astimezone(UTC),
            time_zone=row["time_zone"],
            zone_data=row["zone_data"],
        ),
        number=row["number"],
        opened_revision=row["opened_revision"],
        closed_revision=row["closed_revision"],
        entrants=row["entrants"],
        digest=row["digest"],
        entry_revision=row["entry_revision"],
        is_truncated=row["is_truncated"],
    )
