"""Boards in PostgreSQL: where their ledgers stand, and the settings by which they count in periods."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg.rows import DictRow

from score_service.domain.board.board_settings import BoardSettings
from score_service.domain.ledger.position import Position
from score_service.periods.settings_json import read_settings, write_settings
from score_service.record.database import Database


@dataclass(frozen=True, slots=True)
class StoredBoard:
    """A board as it was at one time."""

    board_id: str
    position: Position
    settings_revision: int
    """Of the entry with its settings; 0 if they were never changed."""
    settings: BoardSettings
    opened_periods: int
    """How many periods anyone had points in so far."""


@dataclass(frozen=True, slots=True)
class DefaultSettings:
    """The settings of boards that are made by their first award."""

    version: int
    """0 if they were never changed."""
    settings: BoardSettings


@dataclass(frozen=True, slots=True)
class SettingsDraft:
    """Settings that a board is to have, provided that nothing has changed since it was read."""

    board_id: str
    settings: BoardSettings
    settings_revision: int
    """Of the settings before; the version of the default, below 0, where there is no such board."""
    opened_periods: int
    """How many periods it had then."""


class BoardStore:
    """The store of boards. Every method raises `RecordUnavailableError`."""

    def __init__(self, database: Database) -> None:
        self._fetch_all = database.fetch_all

    async def find(self, board_id: str) -> StoredBoard | None:
        """Return a board; None if there is none."""
        rows = await self._fetch_all("find_board", {"board_id": board_id})
        return _stored(rows[0]) if rows else None

    async def list_page(
        self, ranges: Iterable[tuple[str, str]], after_board_id: str, limit: int
    ) -> list[StoredBoard]:
        """List the boards after one, in the order of their ids.

        Args:
            ranges: the first and the last id of each run of boards that are asked for.
            after_board_id: the last one of the page before.
            limit: how many, at most.
        """
        bounds = list(ranges)
        parameters = {
            "firsts": [first for first, _ in bounds],
            "lasts": [last for _, last in bounds],
            "after_board_id": after_board_id,
            "limit": limit,
        }
        return [_stored(row) for row in await self._fetch_all("list_boards", parameters)]

    async def find_default(self) -> DefaultSettings:
        """Return the default."""
        rows = await self._fetch_all("find_default_settings", {})
        if not rows:
            return DefaultSettings(0, BoardSettings())
        return DefaultSettings(rows[0]["version"], read_settings(json.loads(rows[0]["settings"])))

    async def apply_settings(
        self,
        drafts: Sequence[SettingsDraft],
        default: DefaultSettings | None,
        *,
        actor: str,
        request_id: str | None = None,
        trace_id: str = "",
    ) -> bool:
        """Give boards other settings, and make those that there are not: all of it or none.

        Args:
            drafts: of different boards.
            default: the default that is to be, with its version; None for no other one.
            actor: who does so.
            request_id: the UUID of the call, if it has one.
            trace_id: 32 hex digits, or empty.

        Returns:
            False, and nothing is changed, if any of them is not as it was read before.
        """
        in_order = sorted(drafts, key=lambda draft: draft.board_id)
        parameters = {
            "board_ids": [draft.board_id for draft in in_order],
            "settings_revisions": [draft.settings_revision for draft in in_order],
            "opened_periods": [draft.opened_periods for draft in in_order],
            "settings": [write_settings(draft.settings) for draft in in_order],
            "default_version": default.version if default is not None else None,
            "default_settings": write_settings(default.settings) if default is not None else None,
            "actor": actor,
            "request_id": request_id,
            "trace_id": trace_id,
        }
        (row,) = await self._fetch_all("apply_settings", parameters)
        return bool(row["is_applied"])


def _stored(row: DictRow) -> StoredBoard:
    text = row["settings"]
    return StoredBoard(
        row["board_id"],
        Position.of(row["revision"], row["digest"]),
        row["settings_revision"],
        read_settings(json.loads(text)) if text is not None else BoardSettings(),
        row["opened_periods"],
    )
