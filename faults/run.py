"""A run: faults are injected into a stack under load and healed; afterwards it is checked."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from faults.cluster.builder import running_cluster
from faults.cluster.cluster import Cluster
from faults.deadlines import within
from faults.evidence.collector import keep_sampling, read_boards, read_epochs
from faults.evidence.vitals import (
    Holdings,
    await_closed_seasons,
    compare,
    measure_holdings,
    measure_lag,
    measure_waiting,
)
from faults.load.load import Load
from faults.model.findings import Findings, Kind
from faults.model.history import History
from faults.model.ledger import Record
from faults.model.liveness import PATIENCE, Liveness
from faults.model.projection import Projection
from faults.nemesis.injection import Catalogue, Scene
from faults.nemesis.nemesis import CATALOGUE, Nemesis
from faults.nemesis.schedule import Turn, draw_turns
from faults.rules.checker import check
from faults.workload.workload import Workload

_WARM_SECONDS: Final = 3.0
_SEASONS_SECONDS: Final = 60.0
"""In which the last seasons end and are closed: a season, its grace, and the patience of the checker."""
_REST_SECONDS: Final = (1.0, 5.0)
"""Between two runs of the command that archives old awards."""
_COUNT_SECONDS: Final = 60.0
_READ_SECONDS: Final = 1_800.0
"""The record of a day of faults is long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done. The same seed gives the same faults in the same order."""

    seed: int
    seconds: float
    """For which turns are begun."""
    turns: int | None = None
    """How many there are at most."""
    load: Load = field(default_factory=Load)
    catalogue: Catalogue = field(default_factory=lambda: CATALOGUE)
    patience: float = PATIENCE
    """Seconds in which all has to be at the head once nothing is broken any more."""


def saw_little(judged: Mapping[str, int]) -> bool:
    """Return whether a run without findings would show nothing, because hardly anybody was answered."""
    saw_each = all(judged[sort] for sort in ("acknowledged", "reads", "messages"))
    return not saw_each or judged["acknowledged"] * 4 < judged["calls"]


@dataclass(slots=True)
class Run:
    """One run in a folder that is empty at first."""

    plan: Plan
    folder: Path
    tell: Callable[[str], None]
    """Reports progress, a line at a time."""
    history: History = field(default_factory=History)
    samples: list[Projection] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0

    async def execute(self) -> Findings:
        """Do all of it.

        Raises:
            LocalStackError: a part did not start, or something that was waited for did not come. Or an
                ExceptionGroup of such errors.
        """
        began = time.monotonic()
        async with running_cluster(self.folder, self.plan.load.boards) as cluster:
            self.tell("The stack runs.")
            await self._work(cluster)
        self.seconds = time.monotonic() - began
        return self.findings

    async def _work(self, cluster: Cluster) -> None:
        plan = self.plan
        workload = Workload(cluster.endpoints, self.history, random.Random(plan.seed), plan.load)
        async with workload.running() as work:
            await asyncio.sleep(_WARM_SECONDS)
            before = await self._count(cluster)
            await self._break(cluster)
            self.tell("All faults are healed; the load ends.")
            liveness, epochs = await self._rest(cluster, work, before)
            async with within(_READ_SECONDS, "Valkey to show all boards"):
                projections = await read_boards(cluster, epochs[-1])
        self.tell("Judging.")
        self.findings = check(self.history, epochs, projections, liveness, self.samples)
        if saw_little(self.findings.judged):
            self.findings.add(Kind.SEEN_LITTLE, str(dict(self.findings.judged)))

    async def _break(self, cluster: Cluster) -> None:
        plan = self.plan
        nemesis = Nemesis(Scene(cluster, self.history), plan.catalogue, self._begin_turn)
        turns = islice(draw_turns(plan.seed, plan.catalogue), plan.turns)
        stopped = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_sampling(cluster, plan.load.boards, self.samples, stopped))
            group.create_task(cluster.archiver.keep_running(self._draw_rest, stopped))
            await nemesis.run(turns, plan.seconds)
            stopped.set()

    async def _rest(
        self, cluster: Cluster, work: Workload, before: Holdings
    ) -> tuple[Liveness, list[Record]]:
        waiting = {}
        try:
            await work.quiesce()
        except TimeoutError:
            waiting["workload"] = 1
        patience = self.plan.patience
        async with within(_READ_SECONDS, "PostgreSQL to tell which seasons are open"):
            await await_closed_seasons(cluster, _SEASONS_SECONDS)
        async with within(_READ_SECONDS, "the commands that archive and check ledgers"):
            complaints = await self._check_ledgers(cluster)
        lag = await measure_lag(cluster, patience)
        waiting |= await measure_waiting(cluster)
        async with within(_READ_SECONDS, "PostgreSQL to show the whole record"):
            epochs, read_at = await read_epochs(cluster, self.history), time.time_ns() // 1000
        heads = {board_id: ledger.position for board_id, ledger in epochs[-1].items()}
        unsettled = await work.settle(heads, patience)
        resources = compare(before, await self._count(cluster))
        liveness = Liveness(
            patience=patience,
            lag_seconds=lag,
            waiting=waiting,
            resources=resources,
            unsettled=unsettled,
            complaints=complaints,
            read_at=read_at,
        )
        return liveness, epochs

    async def _check_ledgers(self, cluster: Cluster) -> list[str]:
        """Archive once more, check all ledgers, and return what is wrong."""
        said = [await cluster.archiver.complete(), await cluster.check("verify", *self.plan.load.boards)]
        folder = cluster.ledgers
        for board_id in sorted({path.name.partition(".")[0] for path in folder.glob("*.ledger")}):
            said += [await cluster.check("ledger", "verify", board_id, str(folder), "--record")]
        return [complaint for complaint in said if complaint]

    def _draw_rest(self) -> float:
        return random.uniform(*_REST_SECONDS)

    async def _count(self, cluster: Cluster) -> Holdings:
        async with within(_COUNT_SECONDS, "all processes to report what they hold"):
            return await measure_holdings(cluster)

    def _begin_turn(self, turn: Turn) -> None:
        self.turns.append(turn)
        self.tell(str(turn))
