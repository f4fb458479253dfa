"""What is left after a run to judge by: the record of each epoch, and Redis as it was seen."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Final

import redis

from faults.cluster.cluster import CACHE_PREFIX, Cluster
from faults.cluster.postgres import FAST, Postgres
from faults.evidence.projection import read_projections
from faults.evidence.record import read_record
from faults.model.history import History, Restore
from faults.model.ledger import Record
from faults.model.projection import Projection
from local_stack.servers.ports import free_port
from local_stack.servers.postgres import PostgresCluster

_SAMPLE_SECONDS: Final = 3.0


async def read_epochs(cluster: Cluster, history: History) -> list[Record]:
    """Read the record before each restore, and at the end the one that is in use.

    That takes long, and never holds up the loop: through its proxies all parts of the stack reach each other.
    """
    restores = [event for event in history.events if isinstance(event, Restore)]
    epochs: list[Record] = []
    for restore in restores:
        epochs.append(await _read_former(cluster, Path(restore.former), epochs))
    read = asyncio.to_thread(read_record, cluster.admin_dsn(), epochs, cluster.ledgers)
    return [*epochs, await read]


async def read_boards(cluster: Cluster, board_ids: Iterable[str]) -> list[Projection]:
    """Read boards from the Valkey in use."""
    return await read_projections(cluster.valkeys.primary.url, CACHE_PREFIX, board_ids)


async def keep_sampling(
    cluster: Cluster, board_ids: Sequence[str], samples: list[Projection], stopped: asyncio.Event
) -> None:
    """Read one board after the other until stopped, also while things are broken."""
    for board_id in cycle(board_ids):
        with suppress(TimeoutError):
            async with asyncio.timeout(_SAMPLE_SECONDS):
                await stopped.wait()
        if stopped.is_set():
            return
        with suppress(redis.RedisError):  # It is broken; there is nothing to see.
            samples += await read_boards(cluster, [board_id])


async def _read_former(cluster: Cluster, folder: Path, epochs: Sequence[Record]) -> Record:
    data = PostgresCluster(folder, cluster.postgres.cluster.log_path)
    former = Postgres("former postgres", data, free_port())
    former.start()
    try:
        await former.until_ready()
        dsn = cluster.former_dsn(former.port)
        return await asyncio.to_thread(read_record, dsn, epochs, cluster.ledgers)
    finally:
        await former.stop(FAST)
