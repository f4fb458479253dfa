"""Lines of boards as values of a history. The same line is the same object, for a run is shown millions."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from faults.model.history import Row
from score_client import Standing

_KEPT = 1 << 16


@lru_cache(_KEPT)
def make_row(
    user_id: str,
    total: int,
    rank: int | None,
    reached_revision: int | None = None,
    hidden: bool | None = None,  # noqa: FBT001 - a field of the line
) -> Row:
    """Make a line, or find the one that is made."""
    return Row(user_id, total, rank, reached_revision, hidden)


def rows_of_standings(standings: Iterable[Standing]) -> tuple[Row, ...]:
    """Return the rows of standings of the client library."""
    return _share(
        tuple(make_row(s.user_id, s.total, s.rank, s.reached_revision, s.hidden) for s in standings)
    )


def rows_of_entries(entries: Iterable[dict[str, Any]]) -> tuple[Row, ...]:
    """Return the rows of entries of the gateway, which have no revisions of users."""
    return _share(tuple(make_row(entry["userId"], entry["score"], entry["rank"]) for entry in entries))


@lru_cache(1024)
def _share(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return rows
