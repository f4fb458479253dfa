"""The end of a season that many watch: how long after it each watcher has the snapshot of the next one."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from google.protobuf.duration_pb2 import Duration

from bench.figures.row import Row, Sample, at_most, p99_ms
from bench.load.awards import Awards
from bench.load.load import keep_pace
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from bench.themes.watching import Audience
from score_api.v1.board_service_pb2 import Board, Season, UpdateBoardRequest
from score_api.v1.board_service_pb2_grpc import BoardServiceStub
from score_api.v1.leaderboard_service_pb2 import WatchLeaderboardRequest
from score_client import ScoreClient

_BOARD = "bench-rollover"
_WATCHERS = 2_000
_AWARDS_PER_SECOND = 100
_SEASON = timedelta(seconds=5)
_SEASONS = 200
_LEAD = timedelta(seconds=3)
"""Seasons that have begun cannot be made, so the first one begins so long after it is asked for."""


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    starts_at = datetime.now(UTC) + _LEAD
    await _make_seasons(stack, starts_at)
    await _wait_until(starts_at)
    request = WatchLeaderboardRequest(board_id=_BOARD, top_n=10, period="season")
    async with (
        stack.client(stack.target) as client,
        Audience.watching(stack, stack.target, [request] * _WATCHERS) as audience,
    ):
        yield {"rollover": partial(_turn_over, client, audience, starts_at)}


async def _make_seasons(stack: Stack, starts_at: datetime) -> None:
    board = Board(board_id=_BOARD, grace=Duration(seconds=0))
    for number in range(_SEASONS):
        season = Season(season_id=f"{number:03}")
        season.starts_at.FromDatetime(starts_at + number * _SEASON)
        season.ends_at.FromDatetime(starts_at + (number + 1) * _SEASON)
        board.seasons.append(season)
    async with stack.channel(stack.target) as channel:
        await BoardServiceStub(channel).UpdateBoard(UpdateBoardRequest(board=board), timeout=30)


async def _turn_over(client: ScoreClient, audience: Audience, starts_at: datetime, seconds: float) -> Sample:
    """Make awards at a pace over at least one end; the latencies are from an end to each watcher."""
    awards = Awards(_BOARD)

    async def call() -> int:
        await client.award(**awards.fields(), timeout=30)
        return 1

    await audience.take()
    sample = await keep_pace(call, _AWARDS_PER_SECOND, max(seconds, 2 * _SEASON.total_seconds()))
    offset, first = time.time() - time.monotonic(), starts_at.timestamp()
    turned = [moment + offset - first for moment, revision in await audience.take() if not revision]
    if len(turned) < _WATCHERS:
        raise RuntimeError("Not every watcher has turned over.")
    return Sample(sample.count, sample.seconds, [late % _SEASON.total_seconds() for late in turned])


async def _wait_until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


ROLLOVER = Theme(
    "rollover",
    (
        Row(
            "rollover",
            f"end of a season to its watchers: {_WATCHERS:,}, {_AWARDS_PER_SECOND} awards/s",
            "ms p99",
            p99_ms,
            targets=(at_most(1_000),),
        ),
    ),
    _open,
    warms_up=False,
)
