"""How long a batch waits for others who are on their way.

Callers who were answered together come again together, over some milliseconds. A batch that went with the
first of them would leave the rest to the next one: there would always be two small batches, not a large one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_FEW: Final = 4
"""In a batch of fewer nobody waits for others: they are not known to come."""
_ENOUGH: Final = 16
"""Are worth a batch. To wait for more would hold those back that have come."""
_NAP_SECONDS: Final = 0.001
_NAPS_MAX: Final = 5
"""So nobody waits for longer than some milliseconds, however evenly others come."""
_IDLE_TURNS: Final = 8
"""A call takes a few turns of the event loop to arrive. Where nothing else happens, so many take 0.1 ms."""


async def gather_arriving(count: Callable[[], int], most: int) -> None:
    """Wait until some turns of the event loop brought in no more, without a timer.

    Where a process is busy taking calls in, batches of a few of them each would take most of its time.

    Args:
        count: Returns how many have come.
        most: Are not waited beyond.
    """
    seen, idle_turns = 0, 0
    while (come := count()) < most and idle_turns < _IDLE_TURNS:
        idle_turns = idle_turns + 1 if come == seen else 0
        seen = come
        await asyncio.sleep(0)


class Crowd:
    """Those who come again and again, as far as the batches before tell."""

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._expected = 0

    def note(self, count: int) -> None:
        """Note how many went in a batch. A few alone do not mean that the others have left."""
        self._expected = max(min(count, _ENOUGH), self._expected // 2)

    @property
    def is_expected(self) -> bool:
        """Whether others are on their way."""
        return self._expected >= _FEW

    async def gather(self, count: Callable[[], int]) -> None:
        """Wait until as many have come as are expected, and on while each nap brings more.

        Args:
            count: Tells how many have come.
        """
        for _ in range(_NAPS_MAX if self.is_expected else 0):
            if (seen := count()) >= _ENOUGH:
                return
            await self._sleep(_NAP_SECONDS)
            if count() == seen >= self._expected:
                return
