"""The calls that the server has taken in and not ended."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_QUIET_SECONDS: Final = 0.02


class InFlight:
    """The calls in flight of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._may_begin = asyncio.Event()
        self._may_begin.set()
        self._taken_in = 0

    @property
    def is_held(self) -> bool:
        """Whether no call may begin at present."""
        return not self._may_begin.is_set()

    def enter(self) -> asyncio.Task[Any]:
        """Count the current task as a call, until it leaves. It begins once calls are not held any more."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A handler runs in a task.")
        self._tasks.add(task)
        self._taken_in += 1
        return task

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Count a call no more."""
        self._tasks.discard(task)

    async def wait_to_begin(self) -> None:
        """Wait until calls may begin."""
        await self._may_begin.wait()

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
