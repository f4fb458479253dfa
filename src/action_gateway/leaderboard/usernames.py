"""Names of users, remembered.

Leaderboards show the same few users again and again, so names are kept, a bounded number of them. A name
changes once, when its user leaves: then it is the same one for all. That a user is unknown is remembered for
a short while only, and so is a failure to ask: a leaderboard without a name is better than none.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

import structlog

from action_gateway.domain.entries import FORMER_PLAYER
from action_gateway.errors import GatewayError
from service_runtime.telemetry.logs import error_fields

FetchUsernames = Callable[[Collection[str]], Awaitable[Mapping[str, str | None]]]
"""Reads the names of users, None for those who have left; unknown ones are left out.

Raises GatewayError where it cannot."""

_log = structlog.get_logger(__name__)


class Usernames:
    """A cache of `user_id` → username over the store."""

    def __init__(
        self,
        fetch: FetchUsernames,
        *,
        limit: int = 50_000,
        unknown_seconds: float = 10.0,
    ) -> None:
        """Take how many names to keep, and how long to believe that one is unknown."""
        self._fetch = fetch
        self._limit = limit
        self._unknown_seconds = unknown_seconds
        self._names: OrderedDict[str, str] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()

    async def names_of(self, user_ids: Iterable[str]) -> dict[str, str | None]:
        """Return the names of users, None for unknown ones. Never fails."""
        wanted = list(dict.fromkeys(user_ids))
        now = asyncio.get_running_loop().time()
        missing = [one for one in wanted if one not in self._names and self._unknown.get(one, now) <= now]
        found = await self._read(missing) if missing else {}
        # Who has left meanwhile has the name no more that was read.
        found = {user_id: name for user_id, name in found.items() if user_id not in self._names}
        names = {user_id: found.get(user_id) or self._recall(user_id) for user_id in wanted}
        self._remember(found, {one for one in missing if names[one] is None}, now + self._unknown_seconds)
        return names

    def forget(self, user_ids: Iterable[str]) -> None:
        """Note users who have left."""
        self._remember(dict.fromkeys(user_ids, FORMER_PLAYER), (), 0.0)

    def _recall(self, user_id: str) -> str | None:
        if user_id in self._names:
            self._names.move_to_end(user_id)
        return self._names.get(user_id)

    async def _read(self, user_ids: Collection[str]) -> Mapping[str, str]:
        try:
            fetched = await self._fetch(user_ids)
        except GatewayError as error:
            _log.warning("usernames_unavailable", **error_fields(error))
            return {}
        return {user_id: FORMER_PLAYER if name is None else name for user_id, name in fetched.items()}

    def _remember(self, names: Mapping[str, str], unknown: Iterable[str], until: float) -> None:
        self._names.update(names)
        for user_id in unknown:
            self._unknown[user_id] = until
            self._unknown.move_to_end(user_id)
        for kept in (self._names, self._unknown):
            while len(kept) > self._limit:
                kept.popitem(last=False)
