"""Awards on ledgers that have many already, beside the same on ledgers that have one of each user.

Both lie on one PostgreSQL and take turns. Each round of awards begins after a checkpoint: from then on, each
page is written to the WAL as a whole when it is changed for the first time. That is what random ids cost a
long ledger.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from bench.figures.row import Quantity, Row, Sample, at_least, cpu_of, median_ms, p99_ms, rate, seconds, value
from bench.ledgers.ledgers import Ledgers
from bench.ledgers.server import NAME, LedgerServer
from bench.ledgers.size import LedgerSize
from bench.stack.stack import Stack
from bench.themes.theme import Measure, Theme
from score_service.boards.awards.coalescer import BATCH_MAX

_RELATIONS: Final = {
    "ledger-rows": ("award", "its row"),
    "ledger-ids": ("award_pkey", "its place in the index of ids"),
    "ledger-revisions": ("award_board_id_revision_key", "its place in the index of revisions"),
}


def make_ledger_theme(size: LedgerSize) -> Theme:
    """Make the rows of ledgers of a size."""
    batches = f"{BATCH_MAX} a batch, 1 connection"
    where = f"{size.awards:,} awards" + (f" on {size.boards:,} boards" if size.boards > 1 else "")
    return Theme(
        "ledger",
        (
            Row("ledger-short", f"record_awards on one award a user, {batches}", "awards/s", rate),
            Row(
                "ledger",
                f"record_awards on {where}, {batches}",
                "awards/s",
                rate,
                limit="ledger-short",
                targets=(at_least(0.9, Quantity.RATIO),),
            ),
            Row("ledger-p99", "a batch of these", "ms p99", p99_ms, measure="ledger", limit="ledger-short"),
            *_make_costs("ledger"),
            Row(
                "ledger-ordered",
                "the same awards with ids ordered by time",
                "awards/s",
                rate,
                limit="ledger-short",
            ),
            *_make_costs("ledger-ordered"),
            Row("ledger-get-short", "get_award on one award a user, 1 connection", "ms p50", median_ms),
            Row("ledger-get", f"get_award on {where}", "ms p50", median_ms, limit="ledger-get-short"),
            *(
                Row(name, f"an award on disk: {what}", "bytes", value)
                for name, (_, what) in _RELATIONS.items()
            ),
            Row("ledger-vacuum", "VACUUM of the awards after a round", "s", seconds),
            Row("ledger-verify", "score-service verify of all", "entries/s", rate),
            Row("ledger-restart", "PostgreSQL started again, until a batch is recorded", "s", seconds),
        ),
        partial(_open, size),
        is_long=True,
        disk_bytes=size.disk_bytes,
    )


def _make_costs(measure: str) -> tuple[Row, Row]:
    """Make the rows of what an award costs PostgreSQL."""
    return (
        Row(
            f"{measure}-cpu", "CPU of PostgreSQL for one of these", "µs", _cpu, measure, limit="ledger-short"
        ),
        Row(f"{measure}-wal", "WAL of one of these", "bytes", value, measure, limit="ledger-short"),
    )


def _cpu(sample: Sample) -> float:
    return cpu_of(sample, NAME)


@asynccontextmanager
async def _open(size: LedgerSize, stack: Stack) -> AsyncIterator[Mapping[str, Measure]]:
    server = LedgerServer.start(stack, size.shared_buffers)
    try:
        short = await Ledgers.make(server, "short", replace(size, awards=size.boards * size.users_a_board))
        long = await Ledgers.make(server, "long", size)
        yield {
            "ledger-short": short.award,
            "ledger": long.award,
            "ledger-ordered": partial(long.award, in_order=True),
            "ledger-get-short": short.get,
            "ledger-get": long.get,
            **{name: partial(long.measure_size, relation) for name, (relation, _) in _RELATIONS.items()},
            "ledger-vacuum": long.vacuum,
            "ledger-verify": long.verify,
            "ledger-restart": long.restart,
        }
    finally:
        server.stop()
