"""Feeds: how many entries a reader gets out of the record, and how long after its call an award is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

import grpc

from bench.figures.row import Row, Sample, at_least, at_most, median_ms, p99_ms, rate
from bench.load.awards import Awards
from bench.load.load import keep_pace
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1.ledger_service_pb2_grpc import LedgerServiceStub
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub
from score_client import ScoreClient

_BOARD = "bench-feed"
_LIVE_BOARD = "bench-feed-live"
_AWARDS = 100_000
_BATCH = 1_000
_PER_SECOND = 200


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with stack.client(stack.target) as client, stack.channel(stack.target) as channel:
        await _fill(channel)
        yield {
            "feed": partial(_read, partial(_count_entries, client)),
            "feed-single": partial(_read, partial(_count_messages, channel)),
            "feed-live": partial(_follow, client),
        }


async def _fill(channel: grpc.aio.Channel) -> None:
    stub, awards = ScoreServiceStub(channel), Awards(_BOARD)
    for _ in range(_AWARDS // _BATCH):
        await stub.BatchAwardPoints(awards.batch(_BATCH), timeout=60)


async def _read(count: Callable[[], AsyncIterator[int]], seconds: float) -> Sample:
    """Read the ledger from its start, again and again, for so long."""
    began, entries = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        async for revision in count():
            entries += 1
            if revision == _AWARDS or time.monotonic() >= began + seconds:
                break
    return Sample(entries, time.monotonic() - began)


async def _count_entries(client: ScoreClient) -> AsyncIterator[int]:
    async with aclosing(client.entries(board_id=_BOARD)) as entries:
        async for entry in entries:
            yield entry.revision


async def _count_messages(channel: grpc.aio.Channel) -> AsyncIterator[int]:
    call = LedgerServiceStub(channel).StreamEntries(ledger.StreamEntriesRequest(board_id=_BOARD))
    try:
        async for message in call:
            yield message.revision
    finally:
        call.cancel()


async def _follow(client: ScoreClient, seconds: float) -> Sample:
    """Make awards at a pace; the latencies are from the call of an award to its entry."""
    awards, called, seen = Awards(_LIVE_BOARD), dict[int, float](), dict[int, float]()
    last = await client.award(**awards.fields(), timeout=30)

    async def call() -> int:
        began = time.monotonic()
        result = await client.award(**awards.fields(), timeout=30)
        called[result.revision] = began
        return 1

    async def read() -> None:
        async for entry in client.entries(board_id=_LIVE_BOARD, after_position=last.position):
            seen[entry.revision] = time.monotonic()

    reading = asyncio.create_task(read())
    try:
        sample = await keep_pace(call, _PER_SECOND, seconds)
        async with asyncio.timeout(30):
            while not called.keys() <= seen.keys():  # noqa: ASYNC110 - It is not measured any more.
                await asyncio.sleep(0.01)
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    return replace(sample, latencies=[seen[revision] - began for revision, began in called.items()])


FEED = Theme(
    "feed",
    (
        Row("feed", "entries of a ledger to one reader", "entries/s", rate, targets=(at_least(30_000),)),
        Row("feed-single", "the same, one entry a message", "entries/s", rate),
        Row(
            "feed-live",
            f"award to its entry: {_PER_SECOND} awards/s",
            "ms p99",
            p99_ms,
            targets=(at_most(50),),
        ),
        Row("feed-p50", "the same", "ms p50", median_ms, measure="feed-live"),
    ),
    _open,
)
