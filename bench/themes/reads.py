"""Reads of the top, of one user and of his neighbours, on small and large boards, beside a bare call."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import grpc

from bench.figures.row import Quantity, Row, at_least, at_most, median_ms, rate
from bench.load.awards import user_id
from bench.load.boards import LARGE, SMALL, ensure_board
from bench.load.load import Call, keep_in_flight
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceStub

_IN_FLIGHT = 32
_TOP = 10
_RADIUS = 5


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    small, large = await ensure_board(stack, SMALL), await ensure_board(stack, LARGE)
    async with stack.channel(stack.start_echo()) as bare, stack.channel(stack.target) as channel:
        calls = {
            "echo-read": get_standing(bare, small, SMALL),
            "top": list_top(channel, small),
            "around": _list_around(channel, small, SMALL),
            "top-1m": list_top(channel, large),
            "standing": get_standing(channel, small, SMALL),
            "standing-1m": get_standing(channel, large, LARGE),
        }
        yield {name: partial(keep_in_flight, call, _IN_FLIGHT) for name, call in calls.items()}


def get_standing(channel: grpc.aio.Channel, board_id: str, members: int) -> Call:
    """Read the standing of one user of a board."""
    stub, draw = LeaderboardServiceStub(channel), Random(1)

    async def call() -> int:
        user = user_id(draw.randrange(members))
        await stub.GetStanding(boards.GetStandingRequest(board_id=board_id, user_id=user), timeout=30)
        return 1

    return call


def list_top(channel: grpc.aio.Channel, board_id: str) -> Call:
    """Read the top of a board."""
    stub = LeaderboardServiceStub(channel)
    request = boards.ListStandingsRequest(board_id=board_id, page_size=_TOP)

    async def call() -> int:
        await stub.ListStandings(request, timeout=30)
        return 1

    return call


def _list_around(channel: grpc.aio.Channel, board_id: str, members: int) -> Call:
    stub, draw = LeaderboardServiceStub(channel), Random(1)

    async def call() -> int:
        user = user_id(draw.randrange(members))
        request = boards.ListStandingsAroundRequest(board_id=board_id, user_id=user, radius=_RADIUS)
        await stub.ListStandingsAround(request, timeout=30)
        return 1

    return call


READS = Theme(
    "reads",
    (
        Row("echo-read", f"bare gRPC echo with mTLS, {_IN_FLIGHT} in flight", "calls/s", rate),
        Row(
            "top",
            f"top {_TOP} of {SMALL:,}, {_IN_FLIGHT} in flight",
            "reads/s",
            rate,
            limit="echo-read",
            targets=(at_least(0.75, Quantity.RATIO), at_most(330, Quantity.CPU)),
        ),
        Row(
            "around",
            f"{_RADIUS} on each side of a user, {_IN_FLIGHT} in flight",
            "reads/s",
            rate,
            limit="echo-read",
            targets=(at_least(0.75, Quantity.RATIO), at_most(330, Quantity.CPU)),
        ),
        Row("top-1m", f"top {_TOP} of {LARGE:,}, {_IN_FLIGHT} in flight", "ms p50", median_ms, limit="top"),
        Row(
            "standing",
            f"GetStanding of {SMALL:,}, {_IN_FLIGHT} in flight",
            "reads/s",
            rate,
            limit="echo-read",
            targets=(at_least(0.75, Quantity.RATIO), at_most(330, Quantity.CPU)),
        ),
        Row(
            "standing-1m",
            f"GetStanding of {LARGE:,}, beside that of {SMALL:,}",
            "ms p50",
            median_ms,
            limit="standing",
            targets=(at_most(1.3, Quantity.RATIO),),
        ),
    ),
    _open,
)
