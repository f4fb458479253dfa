"""Ten times the load that is accepted: what the accepted calls feel of it, and how soon it is over."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Self, TypeAlias

import grpc

from bench.edge.edge import Player, open_players
from bench.figures.row import Quantity, Row, Sample, at_least, at_most, memory_mib, p99_ms, value
from bench.load.awards import Awards
from bench.load.flood import BATCH
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from local_stack.servers.binding import bind_command
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub

Probe: TypeAlias = Callable[[], Awaitable[bool]]
"""Asks for something and tells whether it was taken in."""

_TIMES: Final = 10
_CALLS_MAX: Final = 256
_ROOM: Final = 5_000
_REQUESTS: Final = 128
"""The default bound of calls, awards and requests."""
_BOARD: Final = "bench-overload"
_PROBES: Final = 4
_PAUSE_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 30
_OK: Final = 200
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class Flood:
    """The process of `bench.load.flood`."""

    process: asyncio.subprocess.Process

    @classmethod
    @asynccontextmanager
    async def ready(
        cls, stack: Stack, kind: str, target: str, in_flight: int, token: str = ""
    ) -> AsyncIterator[Self]:
        """Have a process that could flood, until the end of the block."""
        files = stack.certificate
        words = [kind, target, files.ca_file, files.certificate_file, files.key_file, token, in_flight]
        process = await asyncio.create_subprocess_exec(
            *bind_command([sys.executable, "-m", "bench.load.flood", *map(str, words)]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=stack.environment,
            start_new_session=True,
        )
        stack.load_pids.add(process.pid)
        try:
            yield cls(process)
        finally:
            stack.load_pids.discard(process.pid)
            process.kill()
            await process.wait()

    async def begin(self) -> None:
        """Have it flood."""
        await self._write()

    async def end(self) -> float:
        """Have it stop; tell in percent how much of what it asked for was not done."""
        await self._write()
        if self.process.stdout is None:
            raise RuntimeError("The flood has no pipes.")
        async with asyncio.timeout(_STOP_SECONDS):
            ends: dict[str, int] = json.loads(await self.process.stdout.readline())
        done = ends.get("OK", 0) + ends.get(str(_OK), 0)
        return 100 * (1 - done / sum(ends.values()))

    async def _write(self) -> None:
        if self.process.stdin is None:
            raise RuntimeError("The flood has no pipes.")
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()


async def probe(ask: Probe, seconds: float) -> Sample:
    """Ask a few times at once, with pauses; the latencies are those of what was taken in."""
    clock, latencies = time.perf_counter, list[float]()
    start = clock()

    async def work() -> None:
        while (began := clock()) < start + seconds:
            if await ask():
                latencies.append(clock() - began)
            await asyncio.sleep(_PAUSE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_PROBES):
            tasks.create_task(work())
    return Sample(len(latencies), clock() - start, latencies)


async def _beside(stack: Stack, flood: Flood, ask: Probe, seconds: float) -> Sample:
    await flood.begin()
    sample = await probe(ask, seconds)
    memory = stack.memory()
    return replace(sample, value=await flood.end(), memory=memory)


async def _after(flood: Flood, ask: Probe, seconds: float) -> Sample:
    """Measure from the end of a flood until something is taken in and done."""
    await flood.begin()
    await asyncio.sleep(seconds)
    began = time.perf_counter()
    ending = asyncio.create_task(flood.end())
    while not await ask():
        pass
    elapsed = time.perf_counter() - began
    await ending
    return Sample(1, elapsed, [elapsed])


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with (
        stack.channel(stack.target) as channel,
        Flood.ready(stack, "calls", stack.target, _TIMES * _CALLS_MAX) as calls,
        Flood.ready(stack, "batches", stack.target, _TIMES * _ROOM // BATCH) as batches,
        open_players(stack, _PROBES) as players,
    ):
        award, play = _award(channel), _play(players)
        await award()
        address = players[0].connection.host
        token = players[0].headers["Authorization"].removeprefix("Bearer ")
        async with Flood.ready(stack, "requests", address, _TIMES * _REQUESTS, token) as requests:
            yield {
                "calm": partial(probe, award),
                "flood": partial(_beside, stack, calls, award),
                "flood-batch": partial(_beside, stack, batches, award),
                "flood-after": partial(_after, calls, award),
                "quiet": partial(probe, play),
                "rush": partial(_beside, stack, requests, play),
                "rush-after": partial(_after, requests, play),
            }


def _award(channel: grpc.aio.Channel) -> Probe:
    stub, awards = ScoreServiceStub(channel), Awards(_BOARD)

    async def ask() -> bool:
        try:
            await stub.AwardPoints(awards.request(), timeout=30)
        except grpc.aio.AioRpcError as error:
            if error.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}:
                return False
            raise
        return True

    return ask


def _play(players: list[Player]) -> Probe:
    idle = list(players)

    async def ask() -> bool:
        player = idle.pop()
        status, _ = await player.ask_to_start()
        idle.append(player)
        if status not in {_OK, _TOO_MANY}:
            raise RuntimeError(f"A start was answered with {status}.")
        return status == _OK

    return ask


OVERLOAD = Theme(
    "overload",
    (
        Row("calm", "AwardPoints, few at a time, nothing else", "ms p99", p99_ms),
        Row(
            "flood",
            f"those accepted beside {_TIMES * _CALLS_MAX:,} calls under way",
            "ms p99",
            p99_ms,
            limit="calm",
            targets=(at_most(1_000),),
        ),
        Row("flood-shed", "share of the flood that was rejected", "%", value, measure="flood"),
        Row(
            "flood-memory",
            "memory of the service meanwhile",
            "MiB",
            memory_mib,
            measure="flood",
            limit="calm",
            targets=(at_most(1.5, Quantity.RATIO),),
        ),
        Row(
            "flood-batch",
            f"those accepted beside {_TIMES * _ROOM:,} awards in batches",
            "ms p99",
            p99_ms,
            limit="calm",
            targets=(at_most(1_500),),
        ),
        Row("flood-after", "from the end of the flood to an award", "ms", p99_ms, targets=(at_most(2_000),)),
        Row("quiet", "gateway: actions started, few at a time", "ms p99", p99_ms),
        Row(
            "rush",
            f"those accepted beside {_TIMES * _REQUESTS:,} requests under way",
            "ms p99",
            p99_ms,
            limit="quiet",
            targets=(at_most(2_000),),
        ),
        Row(
            "rush-shed",
            "share of the rush that was rejected",
            "%",
            value,
            measure="rush",
            targets=(at_least(50),),
        ),
        Row("rush-after", "from the end of the rush to a start", "ms", p99_ms, targets=(at_most(2_000),)),
    ),
    _open,
)
