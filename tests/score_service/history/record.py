"""The record of a board as its operator sees it: read whole, and put back to what it was."""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from tests.score_service.history.ledger import Commit, Entry, Row, Step, StoredStanding, store
from tests.score_service.history.model import Record, StoredRow
from tests.score_service.history.operations import RICH, ROOM

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.award import MAX_TOTAL
from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Standing
from score_service.operations.chain import LedgerRow, digest_commit, start_digest

_AWARDS: Final = """
    SELECT a.revision, a.award_id::text, a.user_id, a.points, a.total_after AS total, a.action_type,
           a.action_id, a.request_id::text, a.awarded_at, a.occurred_at, (
               SELECT array_agg(p.period_id || '=' || c.total)
               FROM unnest(a.period_numbers, a.period_totals) AS c (number, total)
               JOIN score.period p ON p.board_id = a.board_id AND p.number = c.number
           ) AS counts
    FROM (
        SELECT * FROM score.award
        UNION SELECT * FROM jsonb_populate_recordset(NULL::score.award, %(award)s)
    ) a WHERE a.board_id = %(board_id)s"""
_ENTRIES: Final = """
    SELECT revision, kind, entered_at, body FROM score.entry WHERE board_id = %(board_id)s"""
_COMMITS: Final = """
    SELECT first_revision, last_revision, digest FROM (
        SELECT * FROM score.commit
        UNION SELECT * FROM jsonb_populate_recordset(NULL::score.commit, %(commit)s)
    ) c WHERE board_id = %(board_id)s ORDER BY last_revision"""
_STANDINGS: Final = """
    SELECT period, user_id, total, reached_revision, coalesce(changed_revision, reached_revision) AS version
    FROM score.standing WHERE board_id = %(board_id)s"""
_RESULTS: Final = """
    SELECT p.period_id, r.rank, r.user_id, r.total, r.reached_revision
    FROM score.period_result r
    JOIN score.period p ON p.board_id = r.board_id AND p.number = r.period_number
    WHERE r.board_id = %(board_id)s ORDER BY r.rank"""
_PERIODS: Final = """
    SELECT period_id, starts_at, ends_at, closes_at, final_at, opened_revision, closed_revision, entrants,
           digest, entry_revision
    FROM score.period WHERE board_id = %(board_id)s"""
_BOARD: Final = "SELECT revision, digest FROM score.board WHERE board_id = %(board_id)s FOR UPDATE"
_KEPT: Final = {
    "award": "SELECT to_jsonb(a) AS row FROM score.award a WHERE board_id = %(board_id)s",
    "commit": "SELECT to_jsonb(c) AS row FROM score.commit c WHERE board_id = %(board_id)s",
    "checkpoint_line": "SELECT to_jsonb(l) AS row FROM score.checkpoint_line l WHERE board_id = %(board_id)s",
}
"""What is read, by table, before it is deleted."""
_RESTORE: Final = (
    *(
        f"INSERT INTO score.{table} SELECT * FROM jsonb_populate_recordset(NULL::score.{table}, %({table})s)"
        " ON CONFLICT DO NOTHING"
        for table in _KEPT
    ),
    "DELETE FROM score.archived_award WHERE board_id = %(board_id)s",
    "DELETE FROM score.checkpoint_line WHERE board_id = %(board_id)s AND revision > %(revision)s",
    "DELETE FROM score.award WHERE board_id = %(board_id)s AND revision > %(revision)s",
    "DELETE FROM score.entry WHERE board_id = %(board_id)s AND revision > %(revision)s",
    "DELETE FROM score.reversal WHERE board_id = %(board_id)s AND revision > %(revision)s",
    "DELETE FROM score.visibility WHERE board_id = %(board_id)s",
    """INSERT INTO score.visibility (board_id, user_id, visibility, revision)
       SELECT DISTINCT ON (body::json ->> 'user_id')
              board_id, body::json ->> 'user_id', body::json ->> 'visibility', revision
       FROM score.entry WHERE board_id = %(board_id)s AND kind = 'visibility'
       ORDER BY body::json ->> 'user_id', revision DESC""",
    "DELETE FROM score.commit WHERE board_id = %(board_id)s AND last_revision > %(revision)s",
    """UPDATE score.period SET entrants = NULL, digest = NULL, entry_revision = NULL
       WHERE board_id = %(board_id)s AND entry_revision > %(revision)s""",
    """UPDATE score.period SET closed_revision = NULL
       WHERE board_id = %(board_id)s AND closed_revision > %(revision)s""",
    """DELETE FROM score.period_result r USING score.period p
       WHERE r.board_id = %(board_id)s AND p.board_id = r.board_id AND p.number = r.period_number
       AND p.entry_revision IS NULL""",
    "DELETE FROM score.period WHERE board_id = %(board_id)s AND opened_revision > %(revision)s",
    "UPDATE score.period SET has_standings = entry_revision IS NULL WHERE board_id = %(board_id)s",
    "DELETE FROM score.standing WHERE board_id = %(board_id)s",
    """UPDATE score.board b SET revision = c.last_revision, digest = c.digest, settings_revision = coalesce((
           SELECT max(revision) FROM score.entry WHERE board_id = %(board_id)s AND kind = 'settings'), 0)
       FROM score.commit c WHERE c.board_id = b.board_id AND c.last_revision = %(revision)s
       AND b.board_id = %(board_id)s""",
    """UPDATE score.board SET archived_revision = coalesce((
           SELECT (body::json ->> 'revision')::bigint FROM score.entry
           WHERE board_id = %(board_id)s AND kind = 'archived' ORDER BY revision DESC LIMIT 1), 0)
       WHERE board_id = %(board_id)s""",
    "DELETE FROM score.board WHERE board_id = %(board_id)s AND %(revision)s = 0",
)
_STAND: Final = """
    INSERT INTO score.standing
        (board_id, period, user_id, total, reached_revision, changed_revision, last_award_revision)
    VALUES (%(board_id)s, %(period)s, %(user_id)s, %(total)s, %(reached_revision)s,
            nullif(%(version)s, %(reached_revision)s), (
                SELECT nullif(max(revision), %(reached_revision)s) FROM score.award
                WHERE board_id = %(board_id)s AND user_id = %(user_id)s))"""
_FOUNDING: Final = str(uuid.UUID(int=999))
"""An award of more points than there may be in one."""
_FOUND: Final = (
    "INSERT INTO score.board VALUES (%(board_id)s, 1, %(digest)s, %(awarded_at)s)",
    """INSERT INTO score.award
       VALUES (%(board_id)s, %(award_id)s, %(revision)s, %(user_id)s, %(action_type)s, %(action_id)s,
               %(points)s, %(total_after)s, %(request_id)s, %(caller)s, %(trace_id)s, %(awarded_at)s)""",
    "INSERT INTO score.commit VALUES (%(board_id)s, 1, 1, %(digest)s, %(awarded_at)s)",
    "INSERT INTO score.standing VALUES (%(board_id)s, 'all_time', %(user_id)s, %(total_after)s, 1)",
)


class RecordKeeper:
    """A connection of the administrator."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection
        self._kept: dict[str, dict[str, dict[tuple[int, int], Any]]] = {}
        """Of each board, by table and key, rows that may be gone."""

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[Self]:
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row
        ) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            yield cls(connection)

    async def read(self, board_id: str) -> Record:
        """Read everything in one snapshot."""
        statements = (
            _AWARDS,
            _ENTRIES,
            _COMMITS,
            _STANDINGS,
            _RESULTS,
            _PERIODS,
            _BOARD.removesuffix(" FOR UPDATE"),
        )
        async with self._connection.transaction():
            awards, entries, commits, standings, results, periods, boards = [
                await self._run(statement, board_id=board_id, **self._rows_of(board_id))
                for statement in statements
            ]
        steps: list[Step] = [_row(row) for row in awards]
        steps += (Entry(**{**row, "body": json.loads(row["body"])}) for row in entries)
        return Record(
            Position.of(boards[0]["revision"], boards[0]["digest"]) if boards else None,
            tuple(_group(sorted(steps, key=attrgetter("revision")), commits)),
            _by_period((row.pop("period"), StoredStanding(**row)) for row in standings),
            _by_period((row.pop("period_id"), Standing(**row)) for row in results),
            {row["period_id"]: StoredRow(**row) for row in periods},
        )

    async def keep(self, board_id: str) -> None:
        """Keep what the next archiving may delete, as files and backups do."""
        kept = self._kept.setdefault(board_id, {table: {} for table in _KEPT})
        for table, statement in _KEPT.items():
            for row in await self._run(statement, board_id=board_id):
                kept[table][_key_of(row["row"])] = row["row"]

    def _rows_of(self, board_id: str) -> dict[str, Jsonb]:
        kept = self._kept.get(board_id, {})
        return {table: Jsonb(list(kept.get(table, {}).values())) for table in _KEPT}

    async def restore(self, board_id: str, steps: Sequence[Step]) -> None:
        """Lose what came after the last of these."""
        revision = steps[-1].revision if steps else 0
        for rows in self._kept.get(board_id, {}).values():
            for key in [key for key, row in rows.items() if _revision_of(row) > revision]:
                del rows[key]
        async with self._connection.transaction():
            for statement in (_BOARD, *_RESTORE):
                await self._run(statement, board_id=board_id, revision=revision, **self._rows_of(board_id))
            live = "SELECT period_id FROM score.period WHERE board_id = %(board_id)s AND has_standings"
            periods = [row["period_id"] for row in await self._run(live, board_id=board_id)]
            for period in (ALL_TIME, *periods):
                for standing in store(steps, period):
                    await self._run(_STAND, board_id=board_id, period=period, **standing._asdict())

    async def found(self, board_id: str, at: dt.datetime) -> str:
        """Begin a board with a user who is as rich as it takes; gives the id of the award."""
        row = LedgerRow(
            revision=1,
            award_id=_FOUNDING,
            user_id=RICH,
            action_type="puzzle",
            action_id="inheritance",
            points=1,
            total_after=MAX_TOTAL - ROOM,
            request_id=str(uuid.UUID(int=999)),
            caller="spiffe://test.local/operator",
            trace_id="",
            awarded_at=str(int(at.timestamp()) * 1_000_000),
        )
        digest = digest_commit(start_digest(board_id), [row])
        for statement in _FOUND:
            values = row._asdict() | {"board_id": board_id, "digest": digest, "awarded_at": at}
            await self._run(statement, **values)
        return row.award_id

    async def _run(self, statement: str, **values: Any) -> list[DictRow]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description else []


def _revision_of(row: Mapping[str, Any]) -> int:
    return int(row.get("last_revision") or row["revision"])


def _key_of(row: Mapping[str, Any]) -> tuple[int, int]:
    return _revision_of(row), row.get("number", 0)


def _row(row: DictRow) -> Row:
    counts = (count.rpartition("=") for count in row["counts"] or ())
    points = row["total"] if row["award_id"] == _FOUNDING else row["points"]
    return Row(
        **{**row, "points": points, "counts": {period_id: int(total) for period_id, _, total in counts}}
    )


def _group(steps: Sequence[Step], commits: Iterable[DictRow]) -> Iterator[Commit]:
    """Put what the ledger has into its commits; what none of them holds makes one of its own."""
    rest = list(steps)
    for commit in commits:
        held = tuple(s for s in rest if commit["first_revision"] <= s.revision <= commit["last_revision"])
        rest = [step for step in rest if step not in held]
        yield Commit(Position.of(commit["last_revision"], commit["digest"]), held)
    if rest:
        yield Commit(Position(rest[-1].revision, "of no commit"), tuple(rest))


_T = TypeVar("_T")


def _by_period(pairs: Iterable[tuple[str, _T]]) -> dict[str, list[_T]]:
    found = dict[str, list[_T]]()
    for period_id, value in pairs:
        found.setdefault(period_id, []).append(value)
    return found
