"""Keeps what happens often from filling the log. Pure but for its clock."""

from collections.abc import Callable
from typing import Final

_SECOND: Final = 1.0


class Throttle:
    """Lets so many events through a second, and counts those that it holds back."""

    def __init__(self, per_second: int, clock: Callable[[], float]) -> None:
        """Take a clock whose seconds never step back."""
        self._per_second = per_second
        self._clock = clock
        self._ends_at = float("-inf")
        self._room = 0
        self._left_out = 0

    def let_through(self) -> int | None:
        """Return how many were left out since the last one that got through; None if this one is too."""
        if (now := self._clock()) >= self._ends_at:
            self._ends_at, self._room = now + _SECOND, self._per_second
        if self._room == 0:
            self._left_out += 1
            return None
        self._room -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out
