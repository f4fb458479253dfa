"""The ledgers of one record, and what is measured on them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Final

import psycopg
from psycopg.rows import DictRow

from bench.figures.row import Sample
from bench.ledgers.filling import award_id_at, fill
from bench.ledgers.server import LedgerServer
from bench.ledgers.size import LedgerSize
from bench.load.awards import Awards
from bench.stack.accounting import read_children
from bench.stack.stack import connect
from bench.themes.writes import record_batches
from local_stack.servers.backing import Record
from score_service.record.sql import load_statement

_HOLDS: Final = "chain holds"
_SIZE: Final = "SELECT pg_table_size(%s::regclass) AS bytes, sum(revision) AS awards FROM score.board"
_WAL: Final = "SELECT pg_current_wal_insert_lsn() - '0/0' AS bytes"


@dataclass(slots=True)
class Ledgers:
    """Ledgers of one length on so many boards."""

    server: LedgerServer
    database: str
    record: Record
    size: LedgerSize
    draw: Random = field(default_factory=Random)

    @classmethod
    async def make(cls, server: LedgerServer, database: str, size: LedgerSize) -> "Ledgers":
        """Make a record of its own and fill it."""
        record = server.make_record(database)
        async with await connect(record, "score_owner") as connection:
            await fill(connection, size)
        return cls(server, database, record, size)

    async def award(self, seconds: float, *, in_order: bool = False) -> Sample:
        """Record batches after a checkpoint, each on a board drawn at random.

        The value is the WAL that it takes, in bytes an award.

        Args:
            seconds: for how long.
            in_order: whether ids are ordered by time.
        """
        with self.server.connect_as_admin() as admin:
            admin.execute("CHECKPOINT")
        async with await connect(self.record, "score_runtime") as connection:
            before = await _read_wal(connection)
            sample = await record_batches(connection, partial(self._make_batch, in_order=in_order), seconds)
            written = await _read_wal(connection) - before
        return replace(sample, value=written / sample.count)

    async def get(self, seconds: float) -> Sample:
        """Read awards that were filled in by their ids, one after the other."""
        statement, clock, latencies = load_statement("get_award"), time.perf_counter, list[float]()
        async with await connect(self.record, "score_runtime") as connection:
            end = clock() + seconds
            while (began := clock()) < end or not latencies:
                board_id = self._draw_board()
                award_id = award_id_at(board_id, 1 + self.draw.randrange(self.size.awards_a_board))
                parameters = {"board_id": board_id, "award_id": str(award_id)}
                (row,) = await (await connection.execute(statement, parameters)).fetchall()
                latencies.append(clock() - began)
                if row["award_id"] is None:
                    raise RuntimeError(f"The award {award_id} was not found.")
        return Sample(len(latencies), sum(latencies), latencies)

    async def vacuum(self, _seconds: float) -> Sample:
        """Vacuum the awards, as autovacuum does after many have come."""
        async with await connect(self.record, "score_owner") as connection:
            began = time.perf_counter()
            await connection.execute("VACUUM score.award")
        return Sample(1, time.perf_counter() - began)

    async def verify(self, _seconds: float) -> Sample:
        """Have the command verify all boards, with nothing to find."""
        before, began = read_children(), time.perf_counter()
        output = await self.server.run_command(self.record, "verify", "--record-only")
        elapsed, cpu = time.perf_counter() - began, read_children() - before
        if output.count(_HOLDS) != self.size.boards:
            raise RuntimeError(f"Not every chain holds:\n{output}")
        return Sample(self.size.awards_a_board * self.size.boards, elapsed, cpu={"service": cpu})

    async def restart(self, _seconds: float) -> Sample:
        """Start the server again, after it was stopped in order, and record a batch."""
        started = self.server.restart()
        async with await connect(self.record, "score_runtime") as connection:
            first = await record_batches(connection, self._make_batch, 0)
        return Sample(1, started + first.seconds)

    async def measure_size(self, relation: str, _seconds: float) -> Sample:
        """Read how large a table without its indexes is, or an index; the value is in bytes an award."""
        async with await connect(self.record, "score_owner") as connection:
            (row,) = await (await connection.execute(_SIZE, [f"score.{relation}"])).fetchall()
        return Sample(int(row["awards"]), 0, value=float(row["bytes"] / row["awards"]))

    def _draw_board(self) -> str:
        return self.draw.choice(self.size.board_ids)

    def _make_batch(self, size: int, *, in_order: bool = False) -> Mapping[str, object]:
        return Awards(self._draw_board(), self.size.users_a_board, self.draw, in_order).parameters(size)


async def _read_wal(connection: psycopg.AsyncConnection[DictRow]) -> int:
    (row,) = await (await connection.execute(_WAL)).fetchall()
    return int(row["bytes"])
