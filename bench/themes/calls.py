"""Single awards, one at a time and many at a time, beside a bare call of the same size."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import grpc

from bench.figures.row import Quantity, Row, at_least, at_most, median_ms, rate
from bench.load.awards import Awards
from bench.load.load import Call, keep_in_flight
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub
from score_client import ScoreClient

IN_FLIGHT = 256
_BOARD = "bench-calls"


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with (
        stack.channel(stack.start_echo()) as bare,
        stack.channel(stack.target) as channel,
        stack.client(stack.target) as client,
    ):
        echo, award = award_points(bare), award_points(channel)
        yield {
            "echo-1": partial(keep_in_flight, echo, 1),
            "idle": partial(keep_in_flight, award, 1),
            "client-1": partial(keep_in_flight, award_by_client(client, _BOARD), 1),
            "echo-256": partial(keep_in_flight, echo, IN_FLIGHT),
            "unary": partial(keep_in_flight, award, IN_FLIGHT),
        }


def award_points(channel: grpc.aio.Channel) -> Call:
    """Make one award a call."""
    stub, awards = ScoreServiceStub(channel), Awards(_BOARD)

    async def call() -> int:
        await stub.AwardPoints(awards.request(), timeout=30)
        return 1

    return call


def award_by_client(client: ScoreClient, board_id: str) -> Call:
    """Make one award by the client library."""
    awards = Awards(board_id)

    async def call() -> int:
        await client.award(**awards.fields(), timeout=30)
        return 1

    return call


CALLS = Theme(
    "calls",
    (
        Row("echo-1", "bare gRPC echo with mTLS, 1 in flight", "ms p50", median_ms),
        Row(
            "idle",
            "AwardPoints, 1 in flight",
            "ms p50",
            median_ms,
            limit="echo-1",
            targets=(at_most(3, Quantity.DIFFERENCE),),
        ),
        Row("client-1", "score_client.award(), 1 at a time", "ms p50", median_ms, limit="echo-1"),
        Row("echo-256", f"bare gRPC echo with mTLS, {IN_FLIGHT} in flight", "calls/s", rate),
        Row(
            "unary",
            f"AwardPoints, {IN_FLIGHT} in flight",
            "awards/s",
            rate,
            limit="echo-256",
            targets=(at_least(0.75, Quantity.RATIO), at_most(400, Quantity.CPU)),
        ),
    ),
    _open,
)
