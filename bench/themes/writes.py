"""Many awards: batches and the client library, beside the SQL of a batch alone and beside pgbench."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import grpc
import psycopg
from psycopg.rows import DictRow

from bench.figures.row import Quantity, Row, Sample, at_least, at_most, judged_cpu, rate
from bench.load.awards import Awards
from bench.load.load import Call, keep_in_flight
from bench.load.pgbench import Pgbench
from bench.stack.stack import Stack, connect
from bench.themes.calls import award_by_client
from bench.themes.theme import Measure, Theme
from score_api.v1.score_service_pb2_grpc import ScoreServiceStub
from score_service.boards.awards.coalescer import BATCH_MAX
from score_service.domain.board.board_settings import BoardSettings, Season
from score_service.periods.settings_json import write_settings
from score_service.record.sql import load_statement

CALL_SIZE = 200
_CALLS = 4
_BOARD = "bench-writes"
_PERIODS_BOARD = "bench-periods"
_NOW = datetime.now(UTC)
_FOUR_PERIODS = BoardSettings(
    periods=("day", "week", "month"),
    seasons=(Season("bench", _NOW - timedelta(days=7), _NOW + timedelta(days=7)),),
)


@asynccontextmanager
async def _open(stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    async with (
        await connect(stack.make_record("sql_alone"), "score_runtime") as connection,
        stack.channel(stack.target) as channel,
        stack.client(stack.target) as client,
    ):
        await _save_settings(stack)
        by_client = award_by_client(client, _BOARD)
        yield {
            "sql": partial(record_batches, connection, Awards("bench-sql").parameters),
            "pgbench": (await Pgbench.prepare(stack)).run,
            "batch": partial(keep_in_flight, award_batches(channel, _BOARD), _CALLS),
            "periods": partial(keep_in_flight, award_batches(channel, _PERIODS_BOARD), _CALLS),
            "client-32": partial(keep_in_flight, by_client, 32),
            "client-1000": partial(keep_in_flight, by_client, 1000),
        }


async def _save_settings(stack: Stack) -> None:
    """Give one board four periods, unless it has them."""
    parameters = {
        "board_ids": [_PERIODS_BOARD],
        "settings_revisions": [0],
        "opened_periods": [0],
        "settings": [write_settings(_FOUR_PERIODS)],
        "default_version": None,
        "default_settings": None,
        "actor": "bench",
        "request_id": None,
        "trace_id": "",
    }
    async with await connect(stack.settings.record, "score_runtime") as connection:
        await connection.execute(load_statement("apply_settings"), parameters)


async def record_batches(
    connection: psycopg.AsyncConnection[DictRow],
    make_batch: Callable[[int], Mapping[str, object]],
    seconds: float,
) -> Sample:
    """Write batches as the ledger does, one after the other. What it takes to make them does not count.

    Args:
        connection: as the runtime role, to the record.
        make_batch: makes what `record_awards.sql` takes of so many new awards, see `Awards.parameters`.
        seconds: for how long; it is one batch at least.
    """
    statement, clock, latencies = load_statement("record_awards"), time.perf_counter, list[float]()
    end = clock() + seconds
    while (now := clock()) < end or not latencies:
        parameters = make_batch(BATCH_MAX)
        end += (began := clock()) - now
        cursor = await connection.execute(statement, parameters)
        (row,) = await cursor.fetchall()
        latencies.append(clock() - began)
        if row["to_revision"] - row["from_revision"] != BATCH_MAX:
            raise RuntimeError("Not every award was recorded.")
    return Sample(BATCH_MAX * len(latencies), sum(latencies), latencies)


def award_batches(channel: grpc.aio.Channel, board_id: str) -> Call:
    """Make many awards a call."""
    stub, awards = ScoreServiceStub(channel), Awards(board_id)

    async def call() -> int:
        response = await stub.BatchAwardPoints(awards.batch(CALL_SIZE), timeout=30)
        for item in response.items:
            if not item.HasField("result"):
                raise RuntimeError(f"An award was rejected: {item.error.reason}.")
        return len(response.items)

    return call


WRITES = Theme(
    "writes",
    (
        Row("sql", f"record_awards alone, {BATCH_MAX} a batch, 1 connection", "awards/s", rate),
        Row("pgbench", "pgbench: one insert and one upsert, 8 connections", "awards/s", rate),
        Row(
            "batch",
            f"BatchAwardPoints, {CALL_SIZE} a call, {_CALLS} calls in flight",
            "awards/s",
            rate,
            limit="sql",
            targets=(at_least(10_000), at_least(0.65, Quantity.RATIO), at_least(0.97, Quantity.BASE)),
        ),
        Row(
            "batch-cpu",
            "the same: CPU of service, PostgreSQL and Redis",
            "µs/award",
            judged_cpu,
            measure="batch",
            limit="sql",
            targets=(at_most(100),),
        ),
        Row(
            "periods",
            "batch on a board with a day, a week, a month and a season",
            "awards/s",
            rate,
            limit="batch",
            targets=(at_least(0.5, Quantity.RATIO),),
        ),
        Row(
            "periods-cpu",
            "the same: CPU of service, PostgreSQL and Redis",
            "µs/award",
            judged_cpu,
            measure="periods",
            limit="batch",
            targets=(at_most(2, Quantity.RATIO),),
        ),
        Row("client-32", "score_client.award(), 32 at a time", "awards/s", rate, limit="sql"),
        Row(
            "client-1000",
            "score_client.award(), 1,000 at a time",
            "awards/s",
            rate,
            limit="sql",
            targets=(at_least(8_000), at_least(0.97, Quantity.BASE)),
        ),
    ),
    _open,
)
