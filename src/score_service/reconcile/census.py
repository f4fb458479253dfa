"""Counts the members of a board at one position, page by page, so that no statement grows with the board."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from score_service.domain.position import Position
from score_service.reconcile.patience import Patience
from score_service.record.ledger import Ledger
from score_service.record.standings import CountedPage, Standings

_PAGE_SIZE: Final = 20_000


class Census:
    """Counts members."""

    def __init__(
        self, ledger: Ledger, standings: Standings, patience: Patience, *, page_size: int = _PAGE_SIZE
    ) -> None:
        self._ledger = ledger
        self._standings = standings
        self._ask = patience.ask
        self._page_size = page_size

    async def count_members(self, board_id: str) -> tuple[Position, int]:
        """Count the users of a board, and tell the position at which they are so many.

        Each page is counted at a position of its own, so who came to it afterwards is added from the ledger.

        Raises:
            BoardNotFoundError: no award was ever made on the board.
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        pages = [await self._ask(self._standings.count_page, board_id, "", self._page_size)]
        while pages[-1].members == self._page_size:
            after = pages[-1].last_user_id
            pages.append(await self._ask(self._standings.count_page, board_id, after, self._page_size))
        first, last = pages[0].position, pages[-1].position
        newcomers = await self._ask(self._ledger.list_newcomers, board_id, first.revision, last.revision)
        return last, sum(page.members for page in pages) + _count_missed(pages, newcomers)


def _count_missed(pages: Sequence[CountedPage], newcomers: Sequence[tuple[int, str]]) -> int:
    """Return how many of those who came meanwhile came to a page that had been counted."""
    ends = [page.last_user_id for page in pages[:-1]]
    return sum(
        revision > pages[bisect_left(ends, user_id)].position.revision for revision, user_id in newcomers
    )
