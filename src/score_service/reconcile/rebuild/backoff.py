"""When a board is rebuilt whose rebuilds keep failing, so that Redis is not filled in vain for ever. Pure."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_FREE: Final = 3
"""Failures in a row after which the next rebuild need not wait."""
_SECONDS_MAX: Final = 600.0
_BOARDS_MAX: Final = 10_000


class Backoff:
    """Counts the rebuilds of each board that failed in a row."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a clock that counts seconds and never steps back."""
        self._clock = clock
        self._failures = OrderedDict[str, tuple[int, float]]()
        """By board: how many, and until when to wait."""

    def is_due(self, board_id: str) -> bool:
        """Return whether a board may be rebuilt now."""
        _, wait_until = self._failures.get(board_id, (0, 0.0))
        return self._clock() >= wait_until

    def fail(self, board_id: str) -> None:
        """Take note that a rebuild failed; the next wait is twice as long, ten minutes at most."""
        failures, _ = self._failures.pop(board_id, (0, 0.0))
        failures += 1
        seconds = 0.0 if failures <= _FREE else min(_SECONDS_MAX, 2.0 ** min(failures - _FREE - 1, 30))
        self._failures[board_id] = failures, self._clock() + seconds
        if len(self._failures) > _BOARDS_MAX:
            self._failures.popitem(last=False)

    def succeed(self, board_id: str) -> None:
        """Take note that a board was rebuilt."""
        self._failures.pop(board_id, None)
