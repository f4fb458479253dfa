"""The record in PostgreSQL: awards, their commits, and where each board's ledger stands.

Invariants:
- An award is written once, in one transaction with its commit and its user's standing.
- The commits of a board follow each other without gap, in the order of the lock on the board's row, so
  "after revision r" is a safe cursor.
- Which periods an award counts in is decided in that transaction too, by the ledger's own time.
- Of an award up to the cut only the id and the revision are told, whether or not its row is there, and no
  position before the cut is known: see `archive`.

It knows nothing of Redis, ranks or callers.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, overload

from psycopg.rows import DictRow

from score_service.domain.board.period import ALL_TIME, NO_SCHEDULE, Period, Schedule
from score_service.domain.ledger.award import (
    MAX_BATCH,
    ArchivedAward,
    Award,
    OutOfRange,
    PeriodClosed,
    RecordedAward,
)
from score_service.domain.ledger.changes import Change, Changes, write_lines
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.errors import (
    AwardNotFoundError,
    BoardNotFoundError,
    HistoryArchivedError,
    RecordUnavailableError,
)
from score_service.record.database import BULK_SECONDS, Database
from service_runtime.postgres.schema import Schema

REQUIRED_SCHEMA: Final = "0008"
"""The oldest schema that this code works with. Four digits, so that a newer one compares greater."""

MAX_REVISION: Final = 2**63 - 1 - MAX_BATCH
"""More awards than a ledger ever holds, with room to add a batch in PostgreSQL's bigint."""

_COMMIT_MAX: Final = MAX_BATCH + 1
"""Revisions in one commit: those of a board's first awards follow its settings."""
_BOARDS_A_LOOK: Final = 500
_REVISIONS_A_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """What became of a batch: the new commit's changes, and the ledger row of every award asked for."""

    changes: Changes
    """`before` and `after` are the same where nothing was new."""
    results: tuple[RecordedAward | ArchivedAward | OutOfRange | PeriodClosed, ...]
    """In the order of the batch."""


@dataclass(frozen=True, slots=True)
class ArchivedAwards:
    """Some of the awards of a board that are archived."""

    position: Position
    """The cut: after it the record has all. The start of a board of which nothing is archived."""
    revisions: Mapping[str, int]
    """By id, in lower case."""


@dataclass(frozen=True, slots=True)
class StaleSchedule:
    """Nothing was written: the schedule is not of the board's settings, or does not hold its ledger time."""

    settings_revision: int
    """Of the settings that the board has, see `PeriodStore.find_settings`."""
    ledger_time: datetime


class Ledger:
    """The store of the record's awards and commits."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all
        self._fetch_reachable = database.fetch_reachable

    @overload
    async def record_awards(self, board_id: str, awards: Sequence[Award]) -> RecordedBatch: ...

    @overload
    async def record_awards(
        self, board_id: str, awards: Sequence[Award], schedule: Schedule
    ) -> RecordedBatch | StaleSchedule: ...

    async def record_awards(
        self, board_id: str, awards: Sequence[Award], schedule: Schedule | None = None
    ) -> RecordedBatch | StaleSchedule:
        """Write the awards of one board that are new, in one commit, and read back all of them.

        A connection lost on the way leaves open whether the commit was made, so the same batch is sent
        again: what was written then is found, not written twice.

        Args:
            board_id: the board of every award.
            awards: 1 to `MAX_BATCH`.
            schedule: which periods they may count in; none for a board of which it is known that it has
                no settings.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable; the outcome is unknown.
            ValueError: no schedule was given, and the board has settings; nothing is written.
        """
        given = list(_distinct(awards))
        parameters = {**_batch_parameters(board_id, given), **schedule_parameters(schedule or NO_SCHEDULE)}
        (row,) = await self._fetch_all("record_awards", parameters)
        if row["is_stale"]:
            if schedule is None:
                message = f"the board {board_id} has settings"
                raise ValueError(message)
            return StaleSchedule(row["settings_revision"], row["ledger_time"])
        before = Position.of(row["from_revision"], row["from_digest"])
        after = Position.of(row["to_revision"], row["to_digest"])
        new = _newly_recorded(given, row, after)
        results: dict[str, RecordedAward | ArchivedAward | OutOfRange | PeriodClosed] = {**new}
        results.update((given[ordinal - 1].award_id, OutOfRange()) for ordinal in row["overflowing"])
        results.update((given[ordinal - 1].award_id, PeriodClosed()) for ordinal in row["closed"])
        if known := [award.award_id for award in given if award.award_id not in results]:
            results.update(await self._get_awards(board_id, known))
            if rest := [award_id for award_id in known if award_id not in results]:
                archived = (await self.find_archived(board_id, rest)).revisions
                results.update((award_id, ArchivedAward(archived[award_id])) for award_id in archived)
            if any(award_id not in results for award_id in known):
                # Another server answered than the one that knew them: one that was promoted meanwhile.
                raise RecordUnavailableError
        return RecordedBatch(
            Changes(board_id, before, after, _fold(new.values()), _read_periods(row)),
            tuple(results[award.award_id] for award in awards),
        )

    async def get_award(self, board_id: str, award_id: str) -> RecordedAward:
        """Read one award. Like the answer that it repeats, this one waits for synchronous standbys.

        Raises:
            AwardNotFoundError: the board has no award with this id, or does not exist.
            HistoryArchivedError: the award is archived.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        (row,) = await self._fetch_all("get_award", {"board_id": board_id, "award_id": award_id})
        if row["award_id"] is not None:
            return _recorded(row)
        if row["archived_revision"]:
            archived = await self.find_archived(board_id, [award_id])
            if archived.revisions:
                raise HistoryArchivedError(archived.position)
        raise AwardNotFoundError

    async def find_archived(self, board_id: str, award_ids: Iterable[str]) -> ArchivedAwards:
        """Find which of some awards are archived, and up to where awards are.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        parameters = {"board_id": board_id, "award_ids": list(award_ids)}
        rows = await self._fetch_all("find_archived", parameters)
        if not rows:
            return ArchivedAwards(Position.start(board_id), {})
        cut = Position.of(rows[0]["archived_revision"], rows[0]["digest"])
        return ArchivedAwards(
            cut, {row["award_id"]: row["revision"] for row in rows if row["award_id"] is not None}
        )

    async def _get_awards(self, board_id: str, award_ids: Iterable[str]) -> dict[str, RecordedAward]:
        parameters = {"board_id": board_id, "award_ids": write_array(award_ids)}
        rows = await self._fetch_all("get_awards", parameters)
        return {row["award_id"]: _recorded(row) for row in rows}

    async def read_head(self, board_id: str) -> Position:
        """Return where the ledger of a board stands.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        rows = await self._fetch_all("read_head", {"board_id": board_id})
        if not rows:
            raise BoardNotFoundError
        return Position.of(rows[0]["revision"], rows[0]["digest"])

    async def list_heads(self, after_board_id: str, limit: int) -> list[tuple[str, Position]]:
        """Return where the ledgers of the boards after one stand, in the order of their ids.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        rows = await self._fetch_all("list_heads", {"after_board_id": after_board_id, "limit": limit})
        return _read_heads(rows)

    async def list_reachable_heads(
        self, after_board_id: str, limit: int
    ) -> tuple[list[tuple[str, Position]], bool]:
        """Do what `list_heads` does, without the boards of nodes that are unavailable.

        Returns:
            Those that are there, and whether they are all.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        parameters = {"after_board_id": after_board_id, "limit": limit}
        rows, are_all = await self._fetch_reachable("list_heads", "list_reachable_heads", parameters)
        return _read_heads(rows), are_all

    async def list_boards(self) -> AsyncIterator[str]:
        """Name every board, in the order of ids.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable, or a node of it is.
        """
        after = ""
        while heads := await self.list_heads(after, _BOARDS_A_LOOK):
            for board_id, _ in heads:
                yield board_id
            after = heads[-1][0]

    async def list_reachable_boards(self) -> AsyncIterator[str]:
        """Do what `list_boards` does, without the boards of nodes that are unavailable.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        after = ""
        while heads := (await self.list_reachable_heads(after, _BOARDS_A_LOOK))[0]:
            for board_id, _ in heads:
                yield board_id
            after = heads[-1][0]

    async def has_position(self, board_id: str, position: Position) -> bool:
        """Return whether the ledger of a board went through a position, and can be read from there on.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        parameters = {"board_id": board_id, "revision": position.revision}
        (row,) = await self._fetch_all("find_commit", parameters)
        if row["is_archived"]:
            return False
        if position.revision == 0:
            return position == Position.start(board_id)
        return row["digest"] is not None and Position.of(position.revision, row["digest"]) == position

    async def read_changes(
        self, board_id: str, after: Position, upto_revision: int = MAX_REVISION
    ) -> Changes | None:
        """Read what changed after a position of this ledger, in whole commits; None if nothing did.

        What is archived is not read, nor anything after a position before that: see `has_position`.

        Args:
            board_id: the board.
            after: a position that the ledger went through.
            upto_revision: where to stop. The answer may stop before it, after a thousand revisions.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        parameters = {
            "board_id": board_id,
            "after_revision": after.revision,
            "upto_revision": upto_revision,
            "limit": _COMMIT_MAX,
        }
        rows = await self._fetch_all("read_changes", parameters)
        if not rows:
            return None
        changes: dict[str, list[Change]] = {ALL_TIME: []}
        for row in rows:
            if row["period_id"] is not None:  # A commit of entries alone still has a row, for its position.
                changes.setdefault(row["period_id"], []).append(_read_change(row))
        return Changes(
            board_id,
            after,
            Position.of(rows[0]["to_revision"], rows[0]["to_digest"]),
            tuple(changes.pop(ALL_TIME)),
            {period_id: write_lines(changed) for period_id, changed in changes.items()},
            tuple(rows[0]["finished"] or ()),
        )

    async def list_newcomers(
        self, board_id: str, after_revision: int, upto_revision: int, period_id: str = ALL_TIME
    ) -> list[tuple[int, str]]:
        """List the users who had their first award in a period after a revision and up to another one.

        First awards that are archived are left out.

        Returns:
            The revision of that award and the user, in the order of revisions.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        newcomers = list[tuple[int, str]]()
        for after in range(after_revision, upto_revision, _REVISIONS_A_PAGE):
            parameters = {
                "board_id": board_id,
                "period_id": period_id,
                "after_revision": after,
                "upto_revision": min(after + _REVISIONS_A_PAGE, upto_revision),
            }
            rows = await self._fetch_all("list_newcomers", parameters, BULK_SECONDS)
            newcomers += ((row["revision"], row["user_id"]) for row in rows)
        return newcomers

    async def read_schema(self) -> Schema:
        """Return how the schema stands.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable, or was never migrated.
        """
        rows = await self._fetch_all("read_schema", {})
        return Schema(**rows[0]) if rows else Schema("", is_read_only=False)

    async def find_silent_nodes(self) -> list[str]:
        """Return where settings would keep it from this client that a wait for a standby was cut short.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        return [row["setting"] for row in await self._fetch_all("find_silent_nodes", {})]


def write_array(texts: Iterable[str]) -> str:
    """Write an array as PostgreSQL reads it, much faster than the driver does.

    The texts are ids of which the edge knows that they hold no quote and no backslash.
    """
    return '{"' + '","'.join(texts) + '"}'


def _read_heads(rows: Iterable[DictRow]) -> list[tuple[str, Position]]:
    return [(row["board_id"], Position.of(row["revision"], row["digest"])) for row in rows]


def _distinct(awards: Iterable[Award]) -> Iterable[Award]:
    """Keep the first award of each id."""
    first: dict[str, Award] = {}
    for award in awards:
        first.setdefault(award.award_id, award)
    return first.values()


def schedule_parameters(schedule: Schedule) -> dict[str, object]:
    """Write what `record_awards.sql` takes of a schedule."""
    return {
        "settings_revision": schedule.settings_revision,
        "late": schedule.late.value,
        "valid_from": schedule.valid_from,
        "valid_until": schedule.valid_until,
        "candidates": json.dumps([_candidate(period) for period in schedule.periods]),
    }


def _candidate(period: Period) -> dict[str, str]:
    return {
        "period_id": period.period_id,
        "kind": period.kind.value,
        "starts_at": period.starts_at.isoformat(),
        "ends_at": period.ends_at.isoformat(),
        "closes_at": period.closes_at.isoformat(),
        "final_at": period.final_at.isoformat(),
        "time_zone": period.time_zone,
        "zone_data": period.zone_data,
    }


def _batch_parameters(board_id: str, awards: Sequence[Award]) -> dict[str, str | None]:
    return {
        "board_id": board_id,
        "award_ids": write_array(award.award_id for award in awards),
        "user_ids": write_array(award.user_id for award in awards),
        "points": write_array(str(award.points) for award in awards),
        "action_types": write_array(award.action_type for award in awards),
        "action_ids": write_array(award.action_id for award in awards),
        "request_ids": write_array(award.request_id for award in awards),
        "callers": write_array(award.caller for award in awards),
        "trace_ids": write_array(award.trace_id for award in awards),
        "occurred_ats": _write_instants(awards),
    }


def _write_instants(awards: Sequence[Award]) -> str | None:
    """Write when awards happened; None if none of them says so."""
    instants = [award.occurred_at for award in awards]
    if not any(instants):
        return None
    return f"{{{','.join(instant.isoformat() if instant else 'NULL' for instant in instants)}}}"


def _read_periods(row: DictRow) -> dict[str, str]:
    """Read what the users' standings became in each period that the new awards count in."""
    return dict(zip(row["period_ids"] or (), row["period_lines"] or (), strict=True))


def _read_change(row: DictRow) -> Change:
    reached, revision, visibility = row["reached_revision"], row["revision"], row["visibility"]
    return Change(
        row["user_id"],
        row["total"],
        reached,
        None if revision == reached else revision,
        Visibility(visibility) if visibility else None,
    )


def _newly_recorded(given: Sequence[Award], row: DictRow, position: Position) -> dict[str, RecordedAward]:
    """Put together what the ledger has now of the awards that it did not have, in the order of revisions."""
    new = [given[ordinal - 1] for ordinal in row["ordinals"] or ()]
    return {
        award.award_id: RecordedAward(
            award_id=award.award_id,
            revision=revision,
            position=position,
            user_id=award.user_id,
            points=award.points,
            total=total,
            action_type=award.action_type,
            action_id=award.action_id,
            request_id=award.request_id,
        )
        for award, revision, total in zip(new, row["revisions"] or (), row["totals"] or (), strict=True)
    }


def _recorded(row: DictRow) -> RecordedAward:
    return RecordedAward(
        award_id=row["award_id"],
        revision=row["revision"],
        position=Position.of(row["commit_revision"], row["commit_digest"]),
        user_id=row["user_id"],
        points=row["points"],
        total=row["total_after"],
        action_type=row["action_type"],
        action_id=row["action_id"],
        request_id=row["request_id"],
        reversed=row["reversed"],
    )


def _fold(recorded: Iterable[RecordedAward]) -> tuple[Change, ...]:
    """Keep the newest change of each user among awards in the order of their revisions."""
    newest = {award.user_id: Change(award.user_id, award.total, award.revision) for award in recorded}
    return tuple(newest.values())
