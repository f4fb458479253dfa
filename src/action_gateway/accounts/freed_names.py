"""Names that were given up: for a while nobody can take one, and be taken for who had it.

Names are easy to guess, so a plain hash of one is as good as the name. What is kept is an HMAC under a key
that is not in the database.
"""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Self

from action_gateway.domain.clock import Clock
from action_gateway.settings import DatabaseSettings
from service_runtime.settings import reveal


class FreedNames:
    """How names are kept that were given up."""

    def __init__(self, key: str | None, *, days: int, clock: Clock) -> None:
        """Take the key, without which no names are kept, and for how many days a name cannot be taken."""
        self._key = None if key is None else key.encode()
        self._days = days
        self._clock = clock

    @classmethod
    def of(cls, settings: DatabaseSettings, clock: Clock) -> Self:
        """Take the settings."""
        return cls(reveal(settings.freed_name_key_file), days=settings.freed_name_days, clock=clock)

    def hash(self, username: str) -> bytes | None:
        """Return what is kept of a name, the same whatever its letter case; None where none are kept."""
        if self._key is None or not self._days:
            return None
        return hmac.digest(self._key, username.lower().encode(), "sha256")

    def now(self) -> datetime:
        """Return the time at which a name has to be free to be taken."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def free_at(self) -> datetime:
        """Return when a name can be taken that is given up now.

        It is the start of a day, so that the time does not tell whose the name was.
        """
        today = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return today + timedelta(days=self._days + 1)
