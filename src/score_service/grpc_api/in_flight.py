"""The calls that the server has taken in and not ended."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

_QUIET_SECONDS: Final = 0.02


class InFlight:
    """The calls in flight of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._may_begin = asyncio.Event()
        self._may_begin.set()
        self._taken_in = 0

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Count the current task as a call; the block begins when calls may begin."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A handler runs in a task.")
        self._tasks.add(task)
        self._taken_in += 1
        try:
            await self._may_begin.wait()
            yield
        finally:
            self._tasks.discard(task)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Take calls in, but begin none of them before the end of the block."""
        self._may_begin.clear()
        try:
            yield
        finally:
            self._may_begin.set()

    async def quiet(self) -> None:
        """Wait until no call has come for a moment."""
        before = -1
        while before != self._taken_in:
            before = self._taken_in
            await asyncio.sleep(_QUIET_SECONDS)

    async def idle(self) -> None:
        """Wait until no handler runs. The server's own stop may return before that."""
        while self._tasks:
            await asyncio.wait(self._tasks)
