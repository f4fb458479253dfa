"""The calls that the server has taken in and not ended, and how they are brought to their end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from score_service.errors import ShuttingDownError

_QUIET_SECONDS: Final = 0.02


class InFlight:
    """The calls in flight of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: set[asyncio.Timeout] = set()
        self._stopping = False
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

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[None]:
        """Let a stream run until `end_streams`.

        Raises:
            ShuttingDownError: it was ended so.
        """
        if self._stopping:
            raise ShuttingDownError
        scope = asyncio.timeout(None)
        self._streams.add(scope)
        try:
            async with scope:
                yield
        except TimeoutError:
            if scope.expired():
                raise ShuttingDownError from None
            raise
        finally:
            self._streams.discard(scope)

    def end_streams(self) -> None:
        """End all streams with SHUTTING_DOWN, and each one that is opened from now on."""
        self._stopping = True
        for scope in self._streams:
            scope.reschedule(asyncio.get_running_loop().time())

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
