"""The standings in PostgreSQL: what the ledger folds to, read without Redis.

Every answer is one statement, so it holds at one position: that of the board's row in its snapshot.

There is no index by total, which would cost every award its cheap update in place. So the order of a board
is found by looking at all of it, and a rank that would cost too much is left out: that of a page further
down than `RANKED_MAX`, and that of a single user on a board of more users than that.

It only reads. The standings are written together with the awards, by the ledger's transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg.rows import DictRow

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.award import MAX_TOTAL
from score_service.domain.ledger.position import Position
from score_service.domain.ledger.visibility import Visibility
from score_service.domain.standings.standing import Reading, Source, Standing
from score_service.domain.tokens.page_token import PageEnd, read_page_token, write_page_token
from score_service.errors import BoardNotFoundError
from score_service.record.database import BULK_SECONDS, Database

RANKED_MAX: Final = 50_000
"""Standings looked at for one rank, at most: about 20 ms."""

_SECONDS: Final = 4.0
"""For one statement, at most: less than what the database itself gives the role."""
_ABOVE_ALL: Final = PageEnd(MAX_TOTAL + 1, 0, "")


@dataclass(frozen=True, slots=True)
class StandingPage:
    """Standings of a range of user ids, in the order of totals."""

    position: Position
    """Where the ledger stood when they were read."""
    members: int
    """How many they are, 1 or more, ranked or not."""
    ranked: int
    """How many of them are ranked: with points, and visible."""
    last_user_id: str
    lines: str
    """`user_id total reached_revision[ version[ flag]]` of each, joined by newlines, to be handed on as it
    is. The version is the revision that changed it, where that is another one; the flag stands with those who
    were hidden once, see `Visibility.flag`."""


@dataclass(frozen=True, slots=True)
class CountedPage:
    """How many standings there are in a range of user ids."""

    position: Position
    """Where the ledger stood when they were counted."""
    members: int
    """How many they are, 0 or more; less than the limit where no user comes after them."""
    ranked: int
    """How many of them are ranked: with points, and visible."""
    last_user_id: str
    """Empty where there are none."""


class Standings:
    """The store of the standings.

    A user that has points and is visible is ranked; no other user counts in ranks, lists or numbers of users.

    Every method takes the id of a period. One that nobody has points in, and one that is final, has no
    standings here; those of the latter are in `Results`.

    Every method raises `BoardNotFoundError` where nothing was ever recorded of the board, and
    `RecordUnavailableError` where PostgreSQL is unavailable or takes too long.
    """

    def __init__(self, database: Database, *, ranked_max: int = RANKED_MAX) -> None:
        self._database = database
        self._ranked_max = ranked_max

    async def get_standings(
        self, board_id: str, user_ids: Sequence[str], period_id: str = ALL_TIME
    ) -> Reading:
        """Read some users' standings, also of those who are hidden."""
        parameters = {
            "period_id": period_id,
            "user_ids": list(user_ids),
            "ranked_max": self._ranked_max,
        }
        rows = await self._read(board_id, "get_standings", parameters)
        found = {row["user_id"]: make_standing(row, row["rank"]) for row in rows}
        users = tuple(found[user_id] for user_id in user_ids if user_id in found)
        return Reading(_position(rows[0]), Source.RECORD, users=users, entrants=rows[0]["entrants"])

    async def list_standings(
        self, board_id: str, page_size: int, page_token: str = "", period_id: str = ALL_TIME
    ) -> Reading:
        """Read a page of a board, from the top or from where another page ended.

        Raises:
            InvalidRequestError: the page token is none that was given here.
        """
        after = read_page_token(page_token) or _ABOVE_ALL
        parameters = {
            "period_id": period_id,
            "after_total": after.total,
            "after_revision": after.reached_revision,
            "limit": page_size + 1,
            "ranked_max": self._ranked_max,
        }
        rows = await self._read(board_id, "list_standings", parameters)
        page = _run(rows[:page_size], rows[0]["above"])
        token = write_page_token(page[-1]) if len(rows) > page_size else ""
        return Reading(
            _position(rows[0]),
            Source.RECORD,
            page,
            next_page_token=token,
            entrants=rows[0]["entrants"],
        )

    async def list_standings_around(
        self, board_id: str, user_id: str, radius: int, period_id: str = ALL_TIME
    ) -> Reading:
        """Read a user's neighbours; none where the board does not have the user, or the user is hidden.

        Around a user who is shadowed these are the ones who would be. The own rank is the one that would be,
        and those below keep theirs.
        """
        parameters = {
            "period_id": period_id,
            "user_id": user_id,
            "radius": radius,
            "ranked_max": self._ranked_max,
        }
        rows = await self._read(board_id, "list_standings_around", parameters)
        above = rows[0]["above"]
        centre = next((place for place, row in enumerate(rows) if row["user_id"] == user_id), 0)
        first = above if above is None else above - centre
        below = above if above is None else above + (rows[centre]["visibility"] is None)
        run = (*_run(rows[: centre + 1], first), *_run(rows[centre + 1 :], below))
        return Reading(_position(rows[0]), Source.RECORD, run, entrants=rows[0]["entrants"])

    async def read_page(
        self, board_id: str, after_user_id: str, limit: int, period_id: str = ALL_TIME
    ) -> StandingPage | None:
        """Read up to `limit` standings after a user, in the order of user ids; None where there are no more.

        The first page is the one after the empty user id. Each page holds at a position of its own.
        """
        row = await self._read_bulk(board_id, "read_page", after_user_id, limit, period_id)
        if not row["members"]:
            return None
        return StandingPage(_position(row), row["members"], row["ranked"], row["last_user_id"], row["lines"])

    async def count_page(
        self, board_id: str, after_user_id: str, limit: int, period_id: str = ALL_TIME
    ) -> CountedPage:
        """Count up to `limit` standings after a user, in the order of user ids."""
        row = await self._read_bulk(board_id, "count_page", after_user_id, limit, period_id)
        return CountedPage(_position(row), row["members"], row["ranked"], row["last_user_id"] or "")

    async def count_unranked(self, board_id: str) -> tuple[Position, dict[str, int]]:
        """Count those who have a standing and are not ranked, and tell the position at which it is so.

        Returns:
            How many they are of all time, and in each period that is not final and has any, by the ids.
        """
        rows = await self._read(board_id, "count_unranked", {}, BULK_SECONDS)
        return _position(rows[0]), {row["period"]: row["unranked"] for row in rows if row["period"]}

    async def _read_bulk(
        self, board_id: str, statement: str, after_user_id: str, limit: int, period_id: str
    ) -> DictRow:
        parameters = {"period_id": period_id, "after_user_id": after_user_id, "limit": limit}
        (row,) = await self._read(board_id, statement, parameters, BULK_SECONDS)
        return row

    async def _read(
        self, board_id: str, statement: str, parameters: Mapping[str, object], seconds: float = _SECONDS
    ) -> Sequence[DictRow]:
        """Run a statement. A plan that serves boards of all sizes would read the whole table for each."""
        parameters = {"board_id": board_id, **parameters}
        rows = await self._database.fetch_all(statement, parameters, seconds, prepare=False)
        if not rows:
            raise BoardNotFoundError
        return rows


def _run(rows: Iterable[DictRow], above: int | None) -> tuple[Standing, ...]:
    """Read neighbours, best first; `above` is the number of users above the first, where known."""
    return tuple(
        make_standing(row, None if above is None else above + place)
        for place, row in enumerate(rows, start=1)
        if row["user_id"] is not None  # A board without standings still has a row, for its position.
    )


def make_standing(row: DictRow, rank: int | None) -> Standing:
    """Make a standing of a row, without a rank for a user who is hidden."""
    visibility = row.get("visibility")
    return Standing(
        row["user_id"],
        row["total"],
        None if visibility == Visibility.HIDDEN.value else rank,
        row["reached_revision"],
        hidden=visibility is not None,
    )


def _position(row: DictRow) -> Position:
    return Position.of(row["revision"], row["digest"])
