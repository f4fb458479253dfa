"""Begins so many calls a second, whatever becomes of them, up to a bound of those under way."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_TICK = 0.025
_CATCH_UP = 0.25
"""Seconds of calls made up for at most, where the loop was late."""


class Pace:
    """Calls of one kind. Whatever one of them raises, `run` raises."""

    def __init__(self, name: str, per_second: float, act: Callable[[], Awaitable[None]], most: int) -> None:
        """Take how many calls may be under way."""
        self.name = name
        self._per_second = per_second
        self._act = act
        self._most = most
        self._stopped = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Begin calls until stopped, and wait for the end of each."""
        async with asyncio.TaskGroup() as group:
            calls: set[asyncio.Task[None]] = set()
            due, last = 0.0, time.monotonic()
            while not self._stopped.is_set():
                now = time.monotonic()
                due = min(due + (now - last) * self._per_second, _CATCH_UP * self._per_second + 1)
                last = now
                while due >= 1 and len(calls) < self._most:
                    due -= 1
                    call = group.create_task(self._call(), name=self.name)
                    calls.add(call)
                    call.add_done_callback(calls.discard)
                await asyncio.sleep(_TICK)
        self._ended.set()

    def stop(self) -> None:
        """Begin no more."""
        self._stopped.set()

    async def ended(self) -> None:
        """Wait until every call has ended."""
        await self._ended.wait()

    async def _call(self) -> None:
        await self._act()
