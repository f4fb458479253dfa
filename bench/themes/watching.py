"""Watches: how long after its call an award is seen, by few watchers, by many, and beside stalled ones."""

import asyncio
import base64
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from bench.figures.row import Quantity, Row, Sample, at_most, median_ms, memory_mib, p99_ms
from bench.load.awards import USERS, Awards, user_id
from bench.load.load import keep_pace
from bench.load.pipes import Piped
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_api.v1.leaderboard_service_pb2 import WatchLeaderboardRequest
from score_client import ScoreClient

_BOARD = "bench-watch"
_IDLE_BOARD = "bench-idle"
_TOP = 10
_FEW, _MANY, _STALLED = 100, 2_000, 200
_QUIET_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Audience:
    """The program `bench.load.audience`."""

    program: Piped

    @classmethod
    @asynccontextmanager
    async def watching(
        cls, stack: Stack, target: str, requests: Sequence[WatchLeaderboardRequest]
    ) -> AsyncIterator[Self]:
        """Have one watcher for each request, all of them watching already, until the end of the block."""
        files = stack.certificate
        words = [target, files.ca_file, files.certificate_file, files.key_file]
        async with Piped.running(stack, sys.executable, "-m", "bench.load.audience", *words) as program:
            audience = cls(program)
            await program.ask([base64.b64encode(r.SerializeToString()).decode() for r in requests])
            try:
                yield audience
            finally:
                audience.resume()

    async def take(self) -> list[tuple[float, int]]:
        """Return what was seen since the last time. Raises RuntimeError if a watch has ended."""
        answer = await self.program.ask()
        if not answer:
            raise RuntimeError("The audience has ended.")
        if ended := answer["ended"]:
            raise RuntimeError(f"{len(ended)} watches were ended: {', '.join(sorted(set(ended)))}")
        return [(moment, revision) for moment, revision in answer["seen"]]

    def pause(self) -> None:
        """Have it stall: it reads nothing any more."""
        self.program.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it read on."""
        self.program.signal(signal.SIGCONT)


@asynccontextmanager
async def _open_few(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    echo, target = stack.start_echo(), stack.target
    async with stack.client(echo) as bare, stack.client(target) as client:
        await _fill(client)
        await _fill(client, _IDLE_BOARD)
        requests = [_request(number) for number in range(_FEW)]
        lone = [WatchLeaderboardRequest(board_id=_IDLE_BOARD, top_n=_TOP, all_scores=True)]
        async with (
            Audience.watching(stack, echo, requests) as bare_audience,
            Audience.watching(stack, target, requests) as audience,
            Audience.watching(stack, echo, lone) as bare_watcher,
            Audience.watching(stack, target, lone) as watcher,
        ):
            yield {
                "fan-out": partial(see_awards, bare, bare_audience, 20),
                "watch": partial(see_awards, client, audience, 1_000),
                "fan-out-idle": partial(see_awards, bare, bare_watcher, 1),
                "watch-idle": partial(see_awards, client, watcher, 1, board_id=_IDLE_BOARD),
            }


@asynccontextmanager
async def _open_many(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    target = stack.target
    async with stack.client(target) as client:
        await _fill(client)
        request = WatchLeaderboardRequest(board_id=_BOARD, top_n=_TOP)
        async with (
            Audience.watching(stack, target, [request] * (_MANY - _STALLED)) as audience,
            Audience.watching(stack, target, [request] * _STALLED) as others,
        ):
            see = partial(see_awards, client, audience, 500)
            yield {"crowd": see, "crowd-stalled": partial(_beside_stalled, stack, others, see)}


async def see_awards(
    client: ScoreClient, audience: Audience, per_second: float, seconds: float, board_id: str = _BOARD
) -> Sample:
    """Make awards at a pace; the latencies are from the call of an award to each watcher that sees it."""
    awards, called = Awards(board_id), dict[int, float]()

    async def call() -> int:
        began = time.monotonic()
        result = await client.award(**awards.fields(), timeout=30)
        called[result.revision] = began
        return 1

    await audience.take()
    sample = await keep_pace(call, per_second, seconds)
    seen = await _take_all(audience)
    latencies = [moment - called[revision] for moment, revision in seen if revision in called]
    if not latencies:
        raise RuntimeError("No watcher has seen any award.")
    return replace(sample, latencies=latencies)


async def _take_all(audience: Audience) -> list[tuple[float, int]]:
    """Wait until nothing arrives any more, for what is late counts most."""
    seen = list[tuple[float, int]]()
    while True:
        await asyncio.sleep(_QUIET_SECONDS)
        if not (more := await audience.take()):
            return seen
        seen += more


async def _beside_stalled(
    stack: Stack, others: Audience, see: Callable[[float], Awaitable[Sample]], seconds: float
) -> Sample:
    others.pause()
    try:
        sample = await see(seconds)
        return replace(sample, memory=stack.memory())
    finally:
        others.resume()


async def _fill(client: ScoreClient, board_id: str = _BOARD) -> None:
    """Give every user some points, all of them different."""
    awards = Awards(board_id)
    fields = [awards.fields() | {"user_id": user_id(n), "points": 1 + n} for n in range(USERS)]
    await asyncio.gather(*(client.award(**each, timeout=30) for each in fields))


def _request(number: int) -> WatchLeaderboardRequest:
    """Watch the top, and as many users as it takes so that each is watched by one."""
    share = USERS // _FEW
    users = [user_id(number * share + offset) for offset in range(share)]
    return WatchLeaderboardRequest(board_id=_BOARD, top_n=_TOP, user_ids=users)


WATCH = Theme(
    "watch",
    (
        Row("fan-out", f"bare gRPC streams: 20 calls/s, told to {_FEW}", "ms p99", p99_ms),
        Row(
            "watch",
            f"award to watcher: 1,000 awards/s, {_FEW} watchers",
            "ms p99",
            p99_ms,
            limit="fan-out",
            targets=(at_most(50),),
        ),
        Row(
            "watch-p50",
            "the same",
            "ms p50",
            median_ms,
            measure="watch",
            limit="fan-out",
            targets=(at_most(28),),
        ),
        Row("fan-out-idle", "bare gRPC stream: 1 call/s, told to 1", "ms p50", median_ms),
        Row(
            "watch-idle",
            "award to watcher: 1 award/s on an idle board",
            "ms p50",
            median_ms,
            limit="fan-out-idle",
            targets=(at_most(6),),
        ),
    ),
    _open_few,
)

CROWD = Theme(
    "crowd",
    (
        Row("crowd", f"award to watcher: 500 awards/s, {_MANY:,} watchers", "ms p99", p99_ms),
        Row(
            "crowd-stalled",
            f"the same, {_STALLED} of them stalled: the others",
            "ms p99",
            p99_ms,
            limit="crowd",
            targets=(at_most(1.25, Quantity.RATIO),),
        ),
        Row(
            "crowd-memory",
            "the same: memory of the service",
            "MiB",
            memory_mib,
            measure="crowd-stalled",
            limit="crowd",
            targets=(at_most(1.25, Quantity.RATIO),),
        ),
    ),
    _open_many,
)
