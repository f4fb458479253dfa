"""What the processes of a stack hold and owe, as they and the system tell it."""

import asyncio
import http.client
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psycopg

from faults.cluster.cluster import Cluster
from faults.evidence.sql import load_statement
from faults.model.liveness import Resource
from local_stack.services import ACTION_GATEWAY, SCORE_SERVICE

_LAG: Final = "laurel_projection_lag_revisions"
_SCANS: Final = "laurel_projection_scans"
_TASKS: Final = {SCORE_SERVICE: "laurel_tasks", ACTION_GATEWAY: "gateway_tasks"}
_WAITING: Final = "laurel_awards_waiting"
_MEBIBYTE: Final = 1 << 20
# What a busy process has more of at one time than at another.
_SLACK: Final = {"files": 80, "threads": 24, "memory_mib": 96, "tasks": 60, "connections": 40}
_LOOK_SECONDS: Final = 0.1

Holdings = Mapping[tuple[str, str], int]
"""How much there is, by process and name of what it is."""


async def measure_holdings(cluster: Cluster) -> Holdings:
    """Count what each process holds."""
    found: dict[tuple[str, str], int] = {}
    for name, service in cluster.services.items():
        found |= {(name, what): number for what, number in _read_process(service.pid).items()}
        metrics = await asyncio.to_thread(read_metrics, service.admin)
        found[name, "tasks"] = int(metrics[_TASKS[service.package]])
    found["postgres", "connections"] = await _count_one(cluster, "count_connections")
    return found


def compare(before: Holdings, after: Holdings) -> list[Resource]:
    """Set two countings side by side."""
    return [
        Resource(process=process, name=name, before=before[process, name], after=number, slack=_SLACK[name])
        for (process, name), number in after.items()
    ]


async def measure_lag(cluster: Cluster, patience: float) -> dict[str, float | None]:
    """Return for each score service after how many seconds it reports that no projection is behind.

    It is waited for twice as long as that may take, to tell how late it came.
    """
    scores = [service for service in cluster.services.values() if service.package == SCORE_SERVICE]
    async with asyncio.TaskGroup() as group:
        tasks = {score.name: group.create_task(_await_no_lag(score.admin, 2 * patience)) for score in scores}
    return {name: task.result() for name, task in tasks.items()}


async def await_closed_seasons(cluster: Cluster, patience: float) -> None:
    """Wait until every season that somebody has points in is closed: until then the ledger goes on by itself.

    It is waited for so many seconds at most; the checker finds those that are due and not closed.
    """
    until = time.monotonic() + patience
    # PostgreSQL tells nobody of it.
    while time.monotonic() < until and await _count_one(cluster, "count_open_seasons"):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)


async def measure_waiting(cluster: Cluster) -> dict[str, int]:
    """Return for each score service how many awards it has accepted and not answered."""
    scores = [service for service in cluster.services.values() if service.package == SCORE_SERVICE]
    return {
        score.name: int((await asyncio.to_thread(read_metrics, score.admin))[_WAITING]) for score in scores
    }


def read_metrics(admin: str) -> dict[str, float]:
    """Read the metrics of a service that have no labels."""
    connection = http.client.HTTPConnection(admin, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value, *_ in lines if "{" not in name}


async def _await_no_lag(admin: str, within: float) -> float | None:
    began = time.monotonic()
    seen = (await asyncio.to_thread(read_metrics, admin))[_SCANS]
    while (took := time.monotonic() - began) < within:
        metrics = await asyncio.to_thread(read_metrics, admin)
        # The look before and the one under way may have begun while something was broken.
        if metrics[_SCANS] > seen + 1 and metrics[_LAG] == 0:
            return took
        await asyncio.sleep(_LOOK_SECONDS)
    return None


def _read_process(pid: int) -> dict[str, int]:
    process = Path("/proc", str(pid))
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    return {
        "files": _count(process / "fd"),
        "threads": _count(process / "task"),
        "memory_mib": pages * os.sysconf("SC_PAGE_SIZE") // _MEBIBYTE,
    }


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


async def _count_one(cluster: Cluster, statement: str) -> int:
    async with await psycopg.AsyncConnection.connect(cluster.admin_dsn()) as connection:
        cursor = await connection.execute(load_statement(statement))
        row: Sequence[int] | None = await cursor.fetchone()
    return row[0] if row else 0
