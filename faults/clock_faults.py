"""Clocks that are wrong."""

from collections.abc import Mapping
from typing import Final

from faults.breakage import Breakage, Kind
from faults.cluster import SERVICES

_READY_SECONDS: Final = 15.0
_SKEWS: Final = (-120, -15, -2, 2, 15, 120)
"""Seconds."""


class Skewed(Breakage):
    """The wall clock of one process is early or late."""

    async def inject(self) -> None:
        """Start it again with a wrong clock."""
        service = self.scene.cluster.services[self.target]
        await service.stop()
        service.launcher = ("faults.skewed", str(self.randomness.choice(_SKEWS)))
        await service.restart()
        await service.becomes_ready(_READY_SECONDS)

    async def heal(self) -> None:
        """Start it again with the right one."""
        service = self.scene.cluster.services[self.target]
        await service.stop()
        service.launcher = ()
        await service.restart()


CLOCK_FAULTS: Final[Mapping[str, Kind]] = {"skewed": Kind(Skewed, SERVICES, hold=(1.0, 4.0))}
