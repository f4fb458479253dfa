"""A part of the stack that runs as a process, can die, and restarts at the same address.

Everything here is told to a process or read from outside; no member is asked to break itself. Members are
started from the main thread, because they end with the thread that started them.
"""

import asyncio
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from bench.stack.accounting import read_processes, tree_of
from local_stack.errors import ServerFailedError
from local_stack.servers.child import Child

_READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.03


class Member(ABC):
    """One process, and those that it starts.

    Attributes:
        name: What faults and logs call it, as `score-1`.
        child: The process, None before the first start. It may have ended.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.child: Child | None = None

    @abstractmethod
    def start(self) -> None:
        """Start it, and wait for nothing."""

    @abstractmethod
    def looks_ready(self) -> bool:
        """Ask it, in a thread and for seconds at most, whether it can do its work."""

    @property
    def pid(self) -> int:
        """The process, which may have ended."""
        if self.child is None:
            raise ServerFailedError(f"{self.name} was not started")
        return self.child.process.pid

    @property
    def is_running(self) -> bool:
        """Return whether the process has not ended; it may be paused."""
        return self.child is not None and self.child.exit_code is None

    async def until_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until it can do its work. Raises ServerFailedError if it ends first, or time is up."""
        try:
            async with asyncio.timeout(seconds):  # Also of a look to which it says nothing.
                while not await asyncio.to_thread(self.looks_ready):
                    if self.child is not None:
                        self.child.require_running()
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            tail = self.child.tail() if self.child else ""
            raise ServerFailedError(f"{self.name} was not ready after {seconds:.0f} s:\n{tail}") from None

    async def becomes_ready(self, seconds: float) -> bool:
        """Wait until it can do its work; return whether it could, before its end and in time."""
        try:
            await self.until_ready(seconds)
        except ServerFailedError:
            return False
        return True

    async def restart(self) -> None:
        """Start it after it has ended."""
        self.start()

    async def until_ended(self, seconds: float) -> bool:
        """Wait until the process has ended; return whether it has."""
        return await until(lambda: not self.is_running, seconds)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait; after half a minute kill it."""
        self._signal(number)
        if not await self.until_ended(_STOP_SECONDS):
            await self.kill()

    async def kill(self) -> None:
        """End it as a crash would. Raises ServerFailedError if it does not end."""
        self._signal(signal.SIGKILL)
        if not await self.until_ended(_STOP_SECONDS):
            raise ServerFailedError(f"{self.name} had not ended {_STOP_SECONDS:.0f} s after it was killed")

    def end(self) -> None:
        """Have it end in order, and block until it has."""
        if self.child is not None:
            self.child.stop()

    def pause(self) -> None:
        """Have it and all that it started do nothing, until `resume`."""
        self._signal_tree(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        self._signal_tree(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self.pid, number)

    def _signal_tree(self, number: signal.Signals) -> None:
        if not self.is_running:
            return
        # The first one first: it starts no more, and then none of the others is missed.
        os.kill(self.pid, number)
        for pid in tree_of(self.pid, read_processes()) - {self.pid}:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # It has ended meanwhile.


async def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds, so many seconds at most; return whether it does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True
