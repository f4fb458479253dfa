"""Who has left while tokens of theirs may still be shown.

An access token is good by its signature alone, so that whose account is gone has to be known by each process.
Each reads the departures every second, which is how long a token may outlive its account elsewhere.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from action_gateway.domain.clock import Clock
from action_gateway.errors import UnavailableError
from action_gateway.store.departures import Departure

_PAUSE_SECONDS: Final = 1.0
_PAGE: Final = 1_000
_OVERLAP: Final = timedelta(seconds=30)
"""A transaction has the time of its start, and statements end in a few seconds. Clocks differ by less."""

_log = structlog.get_logger(__name__)


class DepartureSource(Protocol):
    """What is needed of `Departures`."""

    async def list_after(self, last: Departure, *, limit: int) -> list[Departure]:
        """List the departures after one, in order. Raises UnavailableError."""


class Departed:
    """The users who have left since the oldest access token was made that is still good."""

    def __init__(self, clock: Clock, *, lifetime: float) -> None:
        """Take the seconds that an access token lives."""
        self._clock = clock
        self._lifetime = lifetime + _OVERLAP.total_seconds()
        self._until = OrderedDict[str, float]()
        self._listeners: list[Callable[[Collection[str]], None]] = []

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._until

    def listen(self, listener: Callable[[Collection[str]], None]) -> None:
        """Have a function called with the ids of users as they become known."""
        self._listeners.append(listener)

    def add(self, user_ids: Collection[str]) -> None:
        """Note users who have left, and forget those whose last token has expired."""
        now = self._clock()
        new = [user_id for user_id in user_ids if user_id not in self._until]
        self._until.update(dict.fromkeys(new, now + self._lifetime))
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        for listener in self._listeners if new else ():
            listener(new)

    async def follow(self, departures: DepartureSource) -> None:
        """Read who leaves, for ever."""
        since = datetime.fromtimestamp(self._clock() - self._lifetime, UTC)
        while True:
            try:
                since = max(since, await self._read(departures, since) - _OVERLAP)
            except UnavailableError:
                _log.debug("departures_unknown")
            except Exception:  # noqa: BLE001 - what cannot be read now must not end the reading
                _log.exception("departures_failed")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self, departures: DepartureSource, since: datetime) -> datetime:
        """Read all departures after a time; return the time of the last one."""
        last = Departure(since, "")
        while True:
            page = await departures.list_after(last, limit=_PAGE)
            self.add([departure.user_id for departure in page])
            if page:
                last = page[-1]
            if len(page) < _PAGE:
                return last.departed_at
