"""Injects the faults of each turn, and heals them before the next."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from faults.deadlines import within
from faults.model.history import Fault
from faults.nemesis.certificates import CERTIFICATE_FAULTS
from faults.nemesis.clocks import CLOCK_FAULTS
from faults.nemesis.failovers import FAILOVER_FAULTS
from faults.nemesis.failpoints import FAILPOINT_FAULTS
from faults.nemesis.injection import Catalogue, Scene
from faults.nemesis.network import NETWORK_FAULTS
from faults.nemesis.processes import PROCESS_FAULTS
from faults.nemesis.schedule import Planned, Turn
from faults.nemesis.stores import STORE_FAULTS

_STEP_SECONDS: Final = 300.0
"""Restarting all replicas one after the other takes half a minute, on a busy machine a few times as long."""

CATALOGUE: Final[Catalogue] = {
    **PROCESS_FAULTS,
    **NETWORK_FAULTS,
    **STORE_FAULTS,
    **FAILOVER_FAULTS,
    **CERTIFICATE_FAULTS,
    **CLOCK_FAULTS,
    **FAILPOINT_FAULTS,
}


class Nemesis:
    """Works through turns. After each, everything runs and is whole."""

    def __init__(self, scene: Scene, catalogue: Catalogue, tell: Callable[[Turn], None]) -> None:
        """Take where it works, what it can break, and whom it tells of a turn that begins."""
        self._scene = scene
        self._catalogue = catalogue
        self._tell = tell

    async def run(self, turns: Iterable[Turn], seconds: float) -> None:
        """Begin no more turns after so many seconds.

        Raises:
            ExceptionGroup: Of ServerFailedError and StuckError: a part did not restart, or a fault could not
                be injected or healed.
        """
        deadline = time.monotonic() + seconds
        for turn in turns:
            await asyncio.sleep(turn.pause)
            if time.monotonic() > deadline:
                return
            self._tell(turn)
            async with asyncio.TaskGroup() as faults:
                for planned in turn.faults:
                    faults.create_task(self._break(planned))
            await self._scene.cluster.until_ready()

    async def _break(self, planned: Planned) -> None:
        make = self._catalogue[planned.kind].make
        injection = make(self._scene, planned.target, random.Random(planned.seed))
        await asyncio.sleep(planned.after)
        began = time.monotonic()
        async with within(_STEP_SECONDS, f"{planned} to be injected"):
            await injection.inject()
        await asyncio.sleep(planned.hold)
        async with within(_STEP_SECONDS, f"{planned} to be healed"):
            await injection.heal()
        fault = Fault(name=planned.kind, target=planned.target, began=began, ended=time.monotonic())
        self._scene.history.add(fault)
