"""Archives the standings of a frozen period, page by page, and digests what it archives."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final

from score_service.record.periods import PeriodStore

PAGE: Final = 50_000
"""Standings in a page. Each page looks at all standings of the period, so small ones take longer together;
one of a million entrants takes twenty pages of half a second."""
_PAUSE_SHARE: Final = 0.1
"""Of the time that a page took, before the next, so that what others commit meanwhile gets its turn."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What the archive of a period came to."""

    entrants: int = 0
    digest: bytes = b""
    """See `StoredPeriod.digest`."""
    frozen_digest: bytes = b""
    """See `ArchivedPage`."""


class Archiver:
    """Takes periods into the archive."""

    def __init__(self, periods: PeriodStore, *, page: int = PAGE) -> None:
        self._periods = periods
        self._page = page
        self.archived = 0
        """Rows that this process has archived, or found archived, since its start."""

    async def archive(self, board_id: str, period_id: str) -> Archive:
        """Archive a period to the end, from wherever an earlier attempt or another process stopped.

        Returns:
            What `close_period` is given. An empty archive, which it rejects, where the record was restored to
            another history meanwhile.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable. What was archived stays so.
        """
        digest, frozen_digest, rank = hashlib.sha256(), b"", 0
        clock = asyncio.get_running_loop().time
        began = clock()
        while page := await self._periods.archive_page(board_id, period_id, rank, self._page):
            digest.update(page.lines)
            frozen_digest = frozen_digest or page.frozen_digest
            if page.frozen_digest != frozen_digest:
                return Archive()
            if not page.lines:
                break
            self.archived += page.last_rank - rank
            rank = page.last_rank
            await asyncio.sleep((clock() - began) * _PAUSE_SHARE)
            began = clock()
        return Archive(rank, digest.digest(), frozen_digest)
