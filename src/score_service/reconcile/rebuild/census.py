"""Counts the members of a board at one position, page by page, so that no statement grows with the board.

Members are the users who have a standing, of all time or in a period, ranked or not.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from score_service.domain.board.period import ALL_TIME
from score_service.domain.ledger.position import Position
from score_service.projection.replies import Headcount
from score_service.reconcile.rebuild.retry_policy import RetryPolicy
from score_service.record.ledger import Ledger
from score_service.record.standings import CountedPage, Standings

_PAGE_SIZE: Final = 20_000


class Counted(NamedTuple):
    """How many there are at a position, of all time and in periods, by the ids of these."""

    position: Position
    members: Mapping[str, int]
    unranked: Mapping[str, int]
    """Members who are not ranked, where there are any; also of other periods than those of `members`."""

    @property
    def headcounts(self) -> dict[str, Headcount]:
        """Return both of what `members` has."""
        return {
            period_id: Headcount(count, count - self.unranked.get(period_id, 0))
            for period_id, count in self.members.items()
        }


class Census:
    """Counts members."""

    def __init__(
        self, ledger: Ledger, standings: Standings, retries: RetryPolicy, *, page_size: int = _PAGE_SIZE
    ) -> None:
        self._ledger = ledger
        self._standings = standings
        self._ask = retries.ask
        self._page_size = page_size

    async def count_each(self, board_id: str, period_ids: Sequence[str] = ()) -> Counted:
        """Count the members of all time and of periods.

        A period that became final meanwhile may be counted wrongly: its standings go.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        counts = [
            (period_id, *await self.count_members(board_id, period_id))
            for period_id in (ALL_TIME, *period_ids)
        ]
        last, unranked = await self.count_unranked(board_id)
        members = {
            period_id: count + await self.count_newcomers(board_id, at, last, period_id)
            for period_id, at, count in counts
        }
        return Counted(last, members, unranked)

    async def count_unranked(self, board_id: str) -> tuple[Position, Mapping[str, int]]:
        """Count the members who are not ranked: see `Standings.count_unranked`.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        return await self._ask(self._standings.count_unranked, board_id)

    async def count_newcomers(
        self, board_id: str, after: Position, upto: Position, period_id: str = ALL_TIME
    ) -> int:
        """Count the members who came between two positions.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        revisions = after.revision, upto.revision
        return len(await self._ask(self._ledger.list_newcomers, board_id, *revisions, period_id))

    async def count_members(self, board_id: str, period_id: str = ALL_TIME) -> tuple[Position, int]:
        """Count the members of all time or of a period, and tell the position at which they are so many.

        Each page is counted at a position of its own, so who came to it afterwards is added from the ledger.

        Raises:
            BoardNotFoundError: nothing was ever recorded of the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        pages = [await self._count_page(board_id, "", period_id)]
        while pages[-1].members == self._page_size:
            pages.append(await self._count_page(board_id, pages[-1].last_user_id, period_id))
        first, last = pages[0].position, pages[-1].position
        revisions = first.revision, last.revision
        newcomers = await self._ask(self._ledger.list_newcomers, board_id, *revisions, period_id)
        return last, sum(page.members for page in pages) + _count_missed(pages, newcomers)

    async def _count_page(self, board_id: str, after_user_id: str, period_id: str) -> CountedPage:
        count_page = self._standings.count_page
        return await self._ask(count_page, board_id, after_user_id, self._page_size, period_id)


def _count_missed(pages: Sequence[CountedPage], newcomers: Sequence[tuple[int, str]]) -> int:
    """Return how many of those who came meanwhile came to a page that had been counted."""
    ends = [page.last_user_id for page in pages[:-1]]
    return sum(
        revision > pages[bisect_left(ends, user_id)].position.revision for revision, user_id in newcomers
    )
