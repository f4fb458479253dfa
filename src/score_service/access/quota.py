"""The quota of each caller: awards a second and points a minute, in this process.

Both windows open with the first award in them and are emptied when they end. What is taken is taken from
both or from neither. Every process counts for itself, so that the quota holds with Redis unavailable; the
policy's amounts are therefore amounts of one process.
"""

import time
from collections.abc import Callable

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from score_service.access.policy import Grant
from score_service.errors import QuotaExceededError

Clock = Callable[[], float]


class WindowCounters(Storage):
    """Counters for `limits` on a clock of ours: the library's own use the wall clock, which may step back.

    There are two keys for each identity of the policy, so nothing needs to be swept.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Name no errors: counting in memory has none."""
        return ()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter; a new window of `expiry` seconds opens if none is."""
        count = self.get(key) + amount
        end = self._windows[key][1] if key in self._windows else self._clock() + expiry
        self._windows[key] = (count, end)
        return count

    def get(self, key: str) -> int:
        """Return the count of the open window, else 0."""
        count, end = self._windows.get(key, (0, 0.0))
        if end <= self._clock():
            self._windows.pop(key, None)
            return 0
        return count

    def get_expiry(self, key: str) -> float:
        """Return when the open window ends, on our clock."""
        return self._windows[key][1] if key in self._windows else self._clock()

    def check(self) -> bool:
        """Return that memory is there."""
        return True

    def reset(self) -> int:
        """Close all windows."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Close one window."""
        self._windows.pop(key, None)


class Quota:
    """What each caller has left. Not for more than one event loop: nothing waits between look and take."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._limiter = FixedWindowRateLimiter(WindowCounters(clock))

    def take(self, grant: Grant, points: int, awards: int = 1) -> None:
        """Take awards of so many points together from the caller's quota.

        Raises:
            QuotaExceededError: one of the two has no room. Neither is used then.
        """
        costs = (
            (RateLimitItemPerSecond(grant.awards_per_second), awards),
            (RateLimitItemPerMinute(grant.points_per_minute), points),
        )
        full = [item for item, cost in costs if not self._limiter.test(item, grant.spiffe_id, cost=cost)]
        if full:
            ends = [self._limiter.get_window_stats(item, grant.spiffe_id).reset_time for item in full]
            raise QuotaExceededError(max(0.0, max(ends) - self._clock()))
        for item, cost in costs:
            self._limiter.hit(item, grant.spiffe_id, cost=cost)
