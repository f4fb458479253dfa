"""The keys of a board in Redis: lost, saved, and put back to what they were."""

from collections.abc import Sequence

from redis.asyncio import Redis
from tests.fixtures.servers.redis import delete_keys, restore_keys, save_keys
from tests.score_service.history.ledger import Shown
from tests.score_service.history.operations import Evict, RollBack, Save, Wipe


class Keys:
    """What Redis has under a prefix."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        self._saved: dict[bytes, tuple[bytes, int]] = {}
        self._has_lost_header = False

    async def change(self, event: Wipe | Evict | Save | RollBack) -> None:
        """Have something happen to them."""
        match event:
            case Wipe():
                await delete_keys(self._url, self._prefix)
            case Evict(kind):
                await self._evict(kind)
            case Save():
                self._saved = await save_keys(self._url, self._prefix)
            case RollBack():
                await restore_keys(self._url, self._prefix, self._saved)

    async def check_kept(self, boards: Sequence[Shown]) -> None:
        """Check that those of one generation are kept for ever, with these standings, and no others."""
        async with Redis.from_url(self._url, decode_responses=True) as redis:
            names = [name async for name in redis.scan_iter(f"{self._prefix}*")]
            kept = sorted([name.rpartition(":")[2] for name in names if await redis.ttl(name) == -1])
        ranked = sum(bool(shown.ranked) for shown in boards)
        members = sum(bool(shown.members) for shown in boards)
        # Nobody who begins later can know of the keys that a lost header has named.
        expected = ["header", *["ranks"] * ranked, *["totals"] * members]
        assert kept == expected or self._has_lost_header, f"{kept} would stay for ever"

    async def _evict(self, kind: str) -> None:
        self._has_lost_header |= kind == "header"
        async with Redis.from_url(self._url, decode_responses=True) as redis:
            found = [name async for name in redis.scan_iter(f"{self._prefix}*") if name.endswith(kind)]
            if found:
                await redis.delete(*found)
