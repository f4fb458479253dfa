"""Large boards: made in the record at once, and then projected by the score service as it sees fit."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import grpc

from bench.load.awards import user_id
from bench.stack.stack import Stack, connect
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceStub
from score_api.v1.types_pb2 import SOURCE_CACHE

SMALL: Final = 1_000
LARGE: Final = 1_000_000
HUGE: Final = 10_000_000
_STATEMENTS: Final = Path(__file__).with_name("board.sql").read_bytes().split(b"\n\n")
_PROJECT_SECONDS: Final = 60
_PROJECTED_A_SECOND: Final = 20_000
"""Standings, or more: how long to wait depends on it."""
_LOOK_SECONDS: Final = 0.01


async def ensure_board(stack: Stack, members: int) -> str:
    """Make a board of so many members, unless it was made before, and wait until Redis has it."""
    board_id = f"bench-{members}"
    async with await connect(stack.settings.record, "score_owner") as connection:
        known = await connection.execute("SELECT FROM score.board WHERE board_id = %s", [board_id])
        if known.rowcount == 0:
            async with connection.transaction():
                for statement in _STATEMENTS:
                    await connection.execute(statement, {"board_id": board_id, "members": members})
            await connection.execute("VACUUM ANALYZE score.standing")
    async with stack.channel(stack.target) as channel:
        await wait_for_projection(channel, board_id, _PROJECT_SECONDS + members / _PROJECTED_A_SECOND)
    return board_id


async def wait_for_projection(
    channel: grpc.aio.Channel, board_id: str, seconds: float = _PROJECT_SECONDS
) -> None:
    """Wait until a read is answered from Redis, for so long at most."""
    stub = LeaderboardServiceStub(channel)
    request = boards.GetStandingRequest(board_id=board_id, user_id=user_id(0))
    async with asyncio.timeout(seconds):
        while not await _is_projected(stub.GetStanding(request, timeout=10)):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)


async def _is_projected(call: Awaitable[boards.GetStandingResponse]) -> bool:
    try:
        return (await call).source == SOURCE_CACHE
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return False
        raise
