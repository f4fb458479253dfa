"""A bound on work that is rare and heavy, so that awards find PostgreSQL free."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from score_service.errors import OverloadedError


class Slots:
    """Lets a few through at once, and a few more wait."""

    def __init__(self, at_once: int, waiting_max: int) -> None:
        """Take how many run at once, and how many there may be in all besides."""
        self._slots = asyncio.Semaphore(at_once)
        self._taken_max = at_once + waiting_max
        self._taken = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for as long as the block runs.

        Raises:
            OverloadedError: too many wait.
        """
        if self._taken >= self._taken_max:
            raise OverloadedError
        self._taken += 1
        try:
            async with self._slots:
                yield
        finally:
            self._taken -= 1
