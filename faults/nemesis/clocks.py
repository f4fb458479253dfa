"""Clocks that are wrong."""

from collections.abc import Mapping
from typing import Final

from faults.cluster.cluster import SERVICES
from faults.nemesis.injection import FaultKind, Injection

_READY_SECONDS: Final = 15.0
_SKEWS: Final = (-120, -15, -2, 2, 15, 120)
"""Seconds."""


class Skewed(Injection):
    """The wall clock of one process is early or late."""

    async def inject(self) -> None:
        """Start it again with a wrong clock."""
        service = self.scene.cluster.services[self.target]
        await service.stop()
        service.launcher = ("faults.launchers.skewed", str(self.randomness.choice(_SKEWS)))
        await service.restart()
        await service.becomes_ready(_READY_SECONDS)

    async def heal(self) -> None:
        """Start it again with the right one."""
        service = self.scene.cluster.services[self.target]
        await service.stop()
        service.launcher = ()
        await service.restart()


CLOCK_FAULTS: Final[Mapping[str, FaultKind]] = {"skewed": FaultKind(Skewed, SERVICES, hold=(1.0, 4.0))}
