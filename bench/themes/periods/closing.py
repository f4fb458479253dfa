"""Periods of many entrants that become final while awards go on, and reads of what is archived."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import grpc

from bench.figures.row import Row, Sample, at_least, at_most, p99_ms, rate
from bench.load.awards import USERS, user_id
from bench.load.boards import LARGE, wait_for_projection
from bench.load.load import Call, keep_in_flight, keep_pace
from bench.stack.stack import Stack, connect
from bench.themes.calls import award_by_client
from bench.themes.theme import Measure, Theme
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1.leaderboard_service_pb2_grpc import LeaderboardServiceStub
from score_service.domain.board.board_settings import BoardSettings
from score_service.periods.settings_json import write_settings
from score_service.record.sql import load_statement

_STATEMENTS: Final = Path(__file__).with_name("closing.sql").read_bytes().split(b"\n\n")
_SETTINGS: Final = BoardSettings(periods=("day", "week", "month"))
_PERIOD: Final = "day:2026-01-01"
_MAKE_DUE: Final = b"UPDATE score.period SET final_at = now() WHERE board_id = %s AND period_id = %s"
_STATE: Final = (
    b"SELECT entry_revision IS NOT NULL AS is_final, has_standings FROM score.period"
    b" WHERE board_id = %s AND period_id = %s"
)
_RESULT: Final = (
    b"SELECT p.entrants, p.digest, c.digest AS frozen_digest FROM score.period p"
    b" JOIN score.commit c ON c.board_id = p.board_id AND c.last_revision = p.closed_revision"
    b" WHERE p.board_id = %s AND p.period_id = %s"
)
_TAKE_ENTRY_AWAY: Final = (
    b"UPDATE score.period SET entrants = NULL, digest = NULL, entry_revision = NULL"
    b" WHERE board_id = %s AND period_id = %s"
)
_PROJECT_SECONDS: Final = 120
_LOOK_SECONDS: Final = 0.02
_PIECE_SECONDS: Final = 0.1
_AWARDS_A_SECOND: Final = 100
_IN_FLIGHT: Final = 32
_TOP: Final = 10
_RADIUS: Final = 5


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    closing = Closing(stack)
    board_id = await closing.make_board()
    await closing.close(board_id)
    async with stack.channel(stack.target) as channel:
        yield {
            "close": closing.measure,
            "close-lock": partial(closing.measure_lock, board_id),
            "archive-top": partial(keep_in_flight, _list_top(channel, board_id), _IN_FLIGHT),
            "archive-around": partial(keep_in_flight, _list_around(channel, board_id), _IN_FLIGHT),
        }


@dataclass(frozen=True, slots=True)
class Closing:
    """Makes boards with a day of many entrants, and has the service make it final."""

    stack: Stack
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def measure(self, _seconds: float) -> Sample:
        """Have one day become final, and make awards on its board meanwhile, all of which must succeed."""
        board_id = await self.make_board()
        async with self.stack.client(self.stack.target) as client:
            award = award_by_client(client, board_id)
            return await self.close(board_id, award)

    async def make_board(self) -> str:
        """Make a board whose day is over, and wait until Redis has it."""
        board_id = f"bench-close-{next(self.numbers)}"
        parameters = {
            "board_id": board_id,
            "period_id": _PERIOD,
            "members": LARGE,
            "users": USERS,
            "settings": write_settings(_SETTINGS),
        }
        async with await connect(self.stack.settings.record, "score_owner") as connection:
            async with connection.transaction():
                for statement in _STATEMENTS:
                    await connection.execute(statement, parameters)
            await connection.execute("VACUUM ANALYZE score.standing")
        async with self.stack.channel(self.stack.target) as channel:
            await wait_for_projection(channel, board_id, _PROJECT_SECONDS)
        return board_id

    async def close(self, board_id: str, award: Call | None = None) -> Sample:
        """Let the day be due, and wait until it is final, and then until its standings are gone."""
        async with await connect(self.stack.settings.record, "score_owner") as connection:

            async def has_come_to(column: str, *, value: bool) -> bool:
                cursor = await connection.execute(_STATE, [board_id, _PERIOD])
                (row,) = await cursor.fetchall()
                return bool(row[column]) is value

            await connection.execute(_MAKE_DUE, [board_id, _PERIOD])
            start, latencies = time.perf_counter(), list[float]()
            while not await has_come_to("is_final", value=True):
                if award:
                    latencies += (await keep_pace(award, _AWARDS_A_SECOND, _PIECE_SECONDS)).latencies
                else:
                    await asyncio.sleep(_LOOK_SECONDS)
            seconds = time.perf_counter() - start
            while not await has_come_to("has_standings", value=False):  # noqa: ASYNC110 - In PostgreSQL.
                await asyncio.sleep(_LOOK_SECONDS)
        return Sample(LARGE, seconds, latencies)

    async def measure_lock(self, board_id: str, seconds: float) -> Sample:
        """Write the entry of a day that is archived, time and again.

        The statement is a transaction: it holds the lock of the board from its first look to its commit.
        Nothing else writes meanwhile, so it does not wait for the lock.
        """
        record, period = self.stack.settings.record, [board_id, _PERIOD]
        close, clock, latencies = load_statement("close_period"), time.perf_counter, list[float]()
        async with (
            await connect(record, "score_owner") as owner,
            await connect(record, "score_runtime") as runtime,
        ):
            (result,) = await (await owner.execute(_RESULT, period)).fetchall()
            parameters = {"board_id": board_id, "period_id": _PERIOD, "actor": "bench", **result}
            end = clock() + seconds
            while clock() < end:
                await owner.execute(_TAKE_ENTRY_AWAY, period)
                began = clock()
                cursor = await runtime.execute(close, parameters)
                (row,) = await cursor.fetchall()
                latencies.append(clock() - began)
                if row["to_revision"] == row["from_revision"]:
                    raise RuntimeError("The entry was not written.")
        return Sample(len(latencies), sum(latencies), latencies)


def _list_top(channel: grpc.aio.Channel, board_id: str) -> Call:
    stub = LeaderboardServiceStub(channel)
    request = boards.ListStandingsRequest(board_id=board_id, page_size=_TOP, period=_PERIOD)

    async def call() -> int:
        await stub.ListStandings(request, timeout=30)
        return 1

    return call


def _list_around(channel: grpc.aio.Channel, board_id: str) -> Call:
    stub, draw = LeaderboardServiceStub(channel), Random(1)

    async def call() -> int:
        request = boards.ListStandingsAroundRequest(
            board_id=board_id, user_id=user_id(draw.randrange(LARGE)), radius=_RADIUS, period=_PERIOD
        )
        await stub.ListStandingsAround(request, timeout=30)
        return 1

    return call


CLOSING = Theme(
    "closing",
    (
        Row(
            "close",
            f"a day of {LARGE:,} entrants becomes final",
            "entrants/s",
            rate,
            targets=(at_least(50_000),),
        ),
        Row(
            "close-awards",
            f"awards on that board meanwhile, {_AWARDS_A_SECOND}/s",
            "ms p99",
            p99_ms,
            measure="close",
            targets=(at_most(100),),
        ),
        Row(
            "close-lock",
            "its entry: how long its transaction holds the lock of the board",
            "ms p99",
            p99_ms,
            targets=(at_most(20),),
        ),
        Row("archive-top", f"top {_TOP} of what is archived, {_IN_FLIGHT} in flight", "reads/s", rate),
        Row(
            "archive-around",
            f"{_RADIUS} on each side of a user in it, {_IN_FLIGHT} in flight",
            "reads/s",
            rate,
        ),
    ),
    _open,
    warms_up=False,
    is_long=True,
)
