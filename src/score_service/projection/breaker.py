"""A circuit breaker: while a store is unavailable, only one probe a second waits for it. Pure."""

from collections.abc import Callable
from typing import Final

PROBE_SECONDS: Final = 1.0


class Breaker:
    """What is known of a store from the last operation on it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a clock that counts seconds and never steps back."""
        self._clock = clock
        self._probe_at: float | None = None

    def admit(self) -> bool:
        """Return whether to try an operation; after a failure one a second may, until one succeeds."""
        if self._probe_at is None:
            return True
        now = self._clock()
        if now < self._probe_at:
            return False
        self._probe_at = now + PROBE_SECONDS
        return True

    def succeed(self) -> None:
        """Take note that the store answered."""
        self._probe_at = None

    def fail(self) -> None:
        """Take note that the store did not answer."""
        self._probe_at = self._clock() + PROBE_SECONDS
