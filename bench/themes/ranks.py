"""The projection alone: the script that applies a batch, and what a member takes in Redis."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice

from redis.asyncio import Redis

from bench.figures.row import Row, Sample, at_most, rate, value
from bench.load.awards import POINTS, user_id
from bench.load.load import keep_in_flight
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_service.boards.awards.coalescer import BATCH_MAX
from score_service.domain.ledger.changes import Change, Changes
from score_service.domain.ledger.position import Position
from score_service.projection.projection import Projection, ProjectionSettings
from score_service.projection.replies import Applied
from service_runtime.redis.access import RedisAccess, RedisUrl

_BOARD = "bench-lua"
_PREFIX = "bench:"
_MEMBERS = 100_000


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    cache = stack.cache
    access = RedisAccess(RedisUrl.parse(cache.url), cache.password)
    settings = ProjectionSettings(access, prefix=_PREFIX, timeout=30)
    async with (
        Projection.open(settings) as projection,
        Redis.from_url(cache.url, password=cache.password, decode_responses=True) as redis,
    ):
        batches = _batches()
        for changes in islice(batches, -(-_MEMBERS // BATCH_MAX)):
            await _apply(projection, changes)
        yield {
            "lua": partial(keep_in_flight, lambda: _apply(projection, next(batches)), 1),
            "member": lambda _seconds: _weigh(redis),
        }


def _batches() -> Iterator[Changes]:
    """Change every member once, in order, and then members at random."""
    draw, totals, revision = random.Random(1), [0] * _MEMBERS, 0
    while True:
        changes = dict[str, Change]()
        before = _position(revision)
        for _ in range(BATCH_MAX):
            number = revision if revision < _MEMBERS else draw.randrange(_MEMBERS)
            revision += 1
            totals[number] += POINTS * draw.randint(1, 100)
            name = user_id(number)
            changes[name] = Change(name, totals[number], revision)
        yield Changes(_BOARD, before, _position(revision), tuple(changes.values()))


def _position(revision: int) -> Position:
    return Position(revision, f"{revision:016x}") if revision else Position.start(_BOARD)


async def _apply(projection: Projection, changes: Changes) -> int:
    if not isinstance(await projection.apply_changes(changes), Applied):
        raise TypeError("Changes were not applied.")
    return len(changes.changes)


async def _weigh(redis: "Redis") -> Sample:
    """Add up what Redis says that all keys of the board take."""
    keys = [key async for key in redis.scan_iter(match=f"{_PREFIX}{{{_BOARD}}}:*", count=1000)]
    used = [await redis.memory_usage(key, samples=0) for key in keys]
    return Sample(0, 0, value=sum(size or 0 for size in used) / _MEMBERS)


RANKS = Theme(
    "ranks",
    (
        Row("lua", f"apply_changes alone, {BATCH_MAX} a batch, {_MEMBERS:,} members", "changes/s", rate),
        Row(
            "member",
            f"Redis, both keys, {_MEMBERS:,} members",
            "bytes/member",
            value,
            targets=(at_most(180),),
        ),
    ),
    _open,
)
