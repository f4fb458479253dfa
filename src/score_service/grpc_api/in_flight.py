"""The calls that the server has taken in and not ended."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_QUIET_SECONDS: Final = 0.02


class InFlight:
    """The calls in flight of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._taken_in = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._tasks)

    @property
    def is_held(self) -> bool:
        """Whether at present no call may begin, and none be answered."""
        return not self._may_go_on.is_set()

    def enter(self) -> asyncio.Task[Any]:
        """Count the current task as a call, until it leaves."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A handler runs in a task.")
        self._tasks.add(task)
        self._taken_in += 1
        return task

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Count a call no more."""
        self._tasks.discard(task)

    async def wait_to_go_on(self) -> None:
        """Wait until calls are not held any more: before a call begins, and before it is answered."""
        await self._may_go_on.wait()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Take calls in, but begin none of them, and answer none, before the end of the block."""
        self._may_go_on.clear()
        try:
            yield
        finally:
            self._may_go_on.set()

    async def quiet(self) -> None:
        """Wait until no call has come for a moment, in which the machine was not too busy to deliver one."""
        before, late = -1, False
        while late or before != self._taken_in:
            before, began = self._taken_in, time.monotonic()
            await asyncio.sleep(_QUIET_SECONDS)
            late = time.monotonic() - began > 2 * _QUIET_SECONDS

    async def idle(self) -> None:
        """Wait until no handler runs. The server's own stop may return before that."""
        while self._tasks:
            await asyncio.wait(self._tasks)
