"""Counts in one Redis that share round trips: hits that come while one is under way go in the next one.

A round trip costs this process many times what counting costs Redis.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final, NamedTuple

from limits.aio.storage import RedisStorage
from redis.asyncio import Redis

from service_runtime.batching.batches import Batches

_HITS_MAX: Final = 100
"""In one round trip: one or two milliseconds of Redis, in which it does nothing else."""


class _Hit(NamedTuple):
    """What is counted, as the script of `limits` takes it."""

    keys: tuple[str, str]
    arguments: tuple[int, int, int]


class SharedStorage(RedisStorage):
    """Counts of all replicas in one Redis, which share the round trips of this process."""

    def __init__(self, redis: Redis, key_prefix: str) -> None:
        """Take the first part of every key."""
        super().__init__(
            "redis://",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=key_prefix,
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]  # Passed on; the annotation is too narrow.
        )
        script = _load_script(self.bridge.SCRIPT_ACQUIRE_SLIDING_WINDOW)
        self._count_hits = redis.register_script(script)
        self._hits = Batches[_Hit, bool]("hits", self._count, limit=_HITS_MAX)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a hit, unless it is one too many; return whether it was counted."""
        windows = (self._previous_window_key(key), self._current_window_key(key))
        previous_key, current_key = map(self.bridge.prefixed_key, windows)
        return await self._hits.add(_Hit((previous_key, current_key), (limit, expiry, amount)))

    async def _count(self, hits: Sequence[_Hit]) -> list[bool]:
        keys = [key for hit in hits for key in hit.keys]
        arguments = [argument for hit in hits for argument in hit.arguments]
        return list(map(bool, await self._count_hits(keys, arguments)))


def _load_script(count_hit: bytes) -> str:
    kind, _, own = files(__package__).joinpath("count_hits.lua").read_text(encoding="utf-8").partition("\n")
    return f"{kind}\nlocal function count_hit(KEYS, ARGV)\n{count_hit.decode()}\nend\n{own}"
