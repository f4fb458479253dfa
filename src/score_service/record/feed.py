"""The ledger of a board as a feed reads it: page by page, in order, without gaps.

Invariants:
- A page follows the position that it is asked for, or there is none: whether the ledger went through that
  position is found in the snapshot that the page is from. A restored record does not go unnoticed.
- A page has no entry up to the cut, and there is none after a position before that: the awards in between are
  archived.
- What a page has is on all synchronous standbys: the transaction that reads it waits for them.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from psycopg.rows import DictRow

from score_service.domain.ledger.entry import (
    ALL_KINDS,
    AwardEntry,
    Entry,
    EntryKind,
    EntryPage,
    OtherEntry,
    position_of,
)
from score_service.domain.ledger.position import Position
from score_service.errors import BoardNotFoundError, HistoryArchivedError, PositionUnknownError
from score_service.record.database import Database
from score_service.record.ledger import MAX_REVISION

_AWARD: Final = EntryKind.AWARD.value
_OTHERS: Final = {kind.value: kind for kind in EntryKind if kind is not EntryKind.AWARD}


class GapError(Exception):
    """The ledger of a board lacks entries between others: it is damaged."""


class EntryStore:
    """The store of the record's entries. Every method raises `RecordUnavailableError`."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all

    async def read_page(
        self, board_id: str, after: Position, kinds: frozenset[EntryKind], limit: int
    ) -> EntryPage:
        """Read what follows a position.

        Args:
            board_id: the board.
            after: a position of its ledger, also one within a commit.
            kinds: of entries that are wanted.
            limit: how many, at most. Where awards are wanted, how many revisions the page goes through.

        Raises:
            BoardNotFoundError: the record does not have the board.
            HistoryArchivedError: any kinds are wanted, and entries after that position are archived.
            PositionUnknownError: its ledger did not go through that position.
            GapError: the ledger is damaged.
        """
        with_awards = EntryKind.AWARD in kinds
        others = [name for name, kind in _OTHERS.items() if kind in kinds]
        last = min(after.revision + limit, MAX_REVISION) if with_awards else MAX_REVISION
        parameters = {
            "board_id": board_id,
            "after_revision": after.revision,
            "upto_revision": last,
            "with_awards": with_awards,
            "kinds": others if kinds != ALL_KINDS else None,
            "limit": limit,
        }
        rows = await self._fetch_all("read_entries", parameters)
        if not rows:
            raise BoardNotFoundError
        if kinds and after.revision < rows[0]["archived_revision"]:
            raise HistoryArchivedError(Position(rows[0]["archived_revision"], rows[0]["archived_mark"]))
        if after != _position_before(board_id, after.revision, rows[0]):
            raise PositionUnknownError
        entries = tuple(map(_read_entry, rows)) if rows[0]["revision"] is not None else ()
        head: int = rows[0]["head_revision"]
        upto = Position(min(last, head), rows[0]["upto_mark"])
        if not with_awards and len(entries) == limit:
            upto = position_of(entries[-1])
        if kinds == ALL_KINDS and len(entries) != upto.revision - after.revision:
            raise GapError(f"the ledger of {board_id} has a gap after revision {after.revision}")
        return EntryPage(after, upto, entries, is_full=upto.revision < head)

    async def list_heads(self, board_ids: Iterable[str]) -> Mapping[str, Position]:
        """Return where the ledgers of some boards stand. Standbys may not be as far."""
        rows = await self._fetch_all("list_heads_of", {"board_ids": list(board_ids)})
        return {row["board_id"]: Position.of(row["revision"], row["digest"]) for row in rows}


def _position_before(board_id: str, revision: int, row: DictRow) -> Position:
    """Return the position that the ledger has at a revision that a page was asked for."""
    return Position.start(board_id) if revision == 0 else Position(revision, row["after_mark"])


def _read_entry(row: DictRow) -> Entry:
    if row["kind"] == _AWARD:
        return AwardEntry(
            row["revision"],
            row["mark"],
            row["award_id"],
            row["user_id"],
            row["points"],
            row["total_after"],
            row["action_type"],
            row["action_id"],
            row["actor"],
            row["trace_id"],
            row["recorded_at"],
            row["occurred_at"],
            row["periods"] or "",
        )
    return OtherEntry(
        row["revision"],
        row["mark"],
        _OTHERS.get(row["kind"]),
        row["actor"],
        row["recorded_at"],
        row["body"],
    )
