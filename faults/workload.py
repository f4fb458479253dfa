"""Users of a stack: backends that award, players, readers, watchers, and sockets. All they see is recorded.

Everything happens in one process, on one event loop and one clock. A failure of the stack is an outcome; a
failure of the workload itself ends the run with its exception.
"""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from faults.history import History
from faults.load import Doors, Load


class Workload:
    """All users of one stack."""

    def __init__(self, doors: Doors, history: History, randomness: random.Random, load: Load) -> None:
        self._doors = doors
        self._history = history
        self._randomness = randomness
        self._load = load

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Have all users at work until the end of the block.

        Raises ExceptionGroup, out of whatever the block is doing, when the workload itself fails.
        """
        yield self

    async def quiesce(self) -> None:
        """Ask for no more and wait, half a minute at most, for every call's end. Streams stay open.

        Everything has to be healed: those who do not know an outcome ask on until they do.
        """

    async def settle(self, heads: Mapping[str, str]) -> list[str]:
        """Wait until every stream shows its board as it is at its head, 5 s at most.

        Takes the positions of the heads by board, and names the streams that do not show it.
        """
        return [*heads]
