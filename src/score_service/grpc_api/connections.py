"""When each connection began, as far as calls show it.

gRPC tells a server neither when a connection begins nor when it ends. So the first call from a peer address
counts as the beginning of its connection, and after the longest that one may last, the address is free for
another one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_KNOWN_MAX: Final = 16_384
"""Connections that are known, of some 300 bytes each. Beyond that the oldest is forgotten: it begins with its
next call then."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Connections:
    """The connections of a server whose age is known."""

    def __init__(
        self, longest: float, *, known_max: int = _KNOWN_MAX, clock: Callable[[], float] = _loop_time
    ) -> None:
        """Take the seconds that a connection may last, how many may be known, and the event loop's clock."""
        self._longest = longest
        self._known_max = known_max
        self._clock = clock
        self._began = OrderedDict[str, float]()
        """By peer address, the oldest first."""

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._began)

    def note(self, address: str) -> float:
        """Take the address and port that a call came from, and return when the streams there have to end.

        It is a time of the event loop's clock. Each call is noted, so this is one look at a table, except for
        the first call of a connection.
        """
        began = self._began.get(address)
        return (self._begin(address) if began is None else began) + self._longest

    def forget(self, address: str) -> None:
        """Forget a connection that is to be closed. A later call from its address is on another one."""
        self._began.pop(address, None)

    def forget_old(self) -> None:
        """Forget the connections that have lasted for the longest time."""
        gone = self._clock() - self._longest
        while self._began and next(iter(self._began.values())) <= gone:
            self._began.popitem(last=False)

    def _begin(self, address: str) -> float:
        if len(self._began) >= self._known_max:
            self._began.popitem(last=False)
        began = self._began[address] = self._clock()
        return began
