"""Rebuilds by the command: of a large board while awards on it go on, beside reading its standings alone.

And of a huge one, while awards and reads of another board go on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg.rows import DictRow

from bench.figures.row import Row, Sample, at_least, at_most, p99_ms, rate, seconds, value
from bench.figures.spread import percentile
from bench.load.boards import HUGE, LARGE, SMALL, ensure_board
from bench.load.load import Call, keep_pace
from bench.stack.accounting import read_children
from bench.stack.stack import Stack, connect
from bench.themes.calls import award_by_client
from bench.themes.reads import get_standing
from bench.themes.theme import Measure, Theme
from score_service.domain.board.period import ALL_TIME
from score_service.reconcile.rebuild.rebuilder import PAGE_SIZE
from score_service.record.sql import load_statement

_AWARDS_A_SECOND = 100
_READS_A_SECOND = 100
HUGE_NAME = "rebuild-10m"
_PIECE_SECONDS = 0.1


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    small, large = await ensure_board(stack, SMALL), await ensure_board(stack, LARGE)
    rebuild = Rebuild(stack, small, large)
    async with (
        await connect(stack.settings.record, "score_runtime") as connection,
        stack.client(stack.target) as client,
    ):
        yield {
            "pages": partial(read_pages, connection, large),
            "rebuild": partial(rebuild.measure, award_by_client(client, large)),
        }


@asynccontextmanager
async def _open_huge(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    small, huge = await ensure_board(stack, SMALL), await ensure_board(stack, HUGE)
    rebuild = Rebuild(stack, small, huge)
    async with stack.channel(stack.target) as channel, stack.client(stack.target) as client:
        award, read = award_by_client(client, small), get_standing(channel, small, SMALL)
        yield {HUGE_NAME: partial(rebuild.measure_beside, award, read)}


async def read_pages(connection: psycopg.AsyncConnection[DictRow], board_id: str, seconds: float) -> Sample:
    """Read all standings of a board as a rebuild does, until the time is up."""
    statement, after, count, start = load_statement("read_page"), "", 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        parameters = {
            "board_id": board_id,
            "period_id": ALL_TIME,
            "after_user_id": after,
            "limit": PAGE_SIZE,
        }
        (page,) = await (await connection.execute(statement, parameters)).fetchall()
        count += page["members"]
        after = page["last_user_id"] or ""
    return Sample(count, elapsed)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Runs the command on two boards: what it takes for the small one is what it takes to begin."""

    stack: Stack
    small: str
    large: str

    async def measure(self, award: Call, _seconds: float) -> Sample:
        """Rebuild the large board once, and make awards on it meanwhile, all of which must be accepted."""
        before = read_children()
        beginning, _ = await self._run(self.small, {award: _AWARDS_A_SECOND})
        seconds, latencies = await self._run(self.large, {award: _AWARDS_A_SECOND})
        return Sample(
            LARGE - SMALL, seconds - beginning, latencies[award], cpu={"service": read_children() - before}
        )

    async def measure_beside(self, award: Call, read: Call, _seconds: float) -> Sample:
        """Rebuild the large board once, and make awards on another one and read it; all must succeed.

        The value is the p99 of the reads in milliseconds.
        """
        before = read_children()
        paces = {award: _AWARDS_A_SECOND, read: _READS_A_SECOND}
        seconds, latencies = await self._run(self.large, paces)
        used = {"service": read_children() - before}
        return Sample(HUGE, seconds, latencies[award], 1000 * percentile(latencies[read], 99), used)

    async def _run(self, board_id: str, paces: Mapping[Call, float]) -> tuple[float, dict[Call, list[float]]]:
        """Rebuild a board, and make calls at their paces meanwhile."""
        start, latencies = time.perf_counter(), {call: list[float]() for call in paces}
        running = asyncio.create_task(self._command(board_id))

        async def load(call: Call, pace: float) -> None:
            while not running.done():
                latencies[call] += (await keep_pace(call, pace, _PIECE_SECONDS)).latencies

        async with asyncio.TaskGroup() as tasks:
            for call, pace in paces.items():
                tasks.create_task(load(call, pace))
        return await running - start, latencies

    async def _command(self, board_id: str) -> float:
        """Run the command to its end, and tell when that was."""
        await self.stack.run_command(self.stack.settings, "rebuild", board_id)
        return time.perf_counter()


REBUILD = Theme(
    "rebuild",
    (
        Row("pages", f"read_page alone, {PAGE_SIZE:,} a page, 1 connection", "standings/s", rate),
        Row(
            "rebuild",
            f"rebuild of {LARGE:,} standings by the command",
            "standings/s",
            rate,
            limit="pages",
            targets=(at_least(100_000),),
        ),
        Row(
            "rebuild-awards",
            f"awards on that board meanwhile, {_AWARDS_A_SECOND}/s",
            "ms p99",
            p99_ms,
            measure="rebuild",
        ),
    ),
    _open,
    warms_up=False,
)

REBUILD_HUGE = Theme(
    HUGE_NAME,
    (
        Row(
            HUGE_NAME,
            f"rebuild of {HUGE:,} standings by the command",
            "s",
            seconds,
            targets=(at_most(150),),
        ),
        Row(
            f"{HUGE_NAME}-awards",
            f"awards on another board meanwhile, {_AWARDS_A_SECOND}/s",
            "ms p99",
            p99_ms,
            targets=(at_most(100),),
            measure=HUGE_NAME,
        ),
        Row(
            f"{HUGE_NAME}-reads",
            f"reads of that other board meanwhile, {_READS_A_SECOND}/s",
            "ms p99",
            value,
            targets=(at_most(100),),
            measure=HUGE_NAME,
        ),
    ),
    _open_huge,
    warms_up=False,
    is_long=True,
    disk_bytes=5 * 2**30,
)
