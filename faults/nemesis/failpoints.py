"""Processes that break themselves at the worst moment."""

from collections.abc import Mapping
from typing import Final

from faults.cluster.cluster import GATEWAYS, SCORES
from faults.nemesis.injection import FaultKind, Injection

_READY_SECONDS: Final = 15.0
_REACHED_SECONDS: Final = 5.0
_ACTIONS: Final = ("kill", "kill", "fail", "pause")
_PASSAGES: Final = (1, 30)


class Armed(Injection):
    """A process that breaks itself at one place, the N-th time that it comes there."""

    places: tuple[str, ...]

    async def inject(self) -> None:
        """Start it again, armed, and wait a while for it to come there."""
        service = self.scene.cluster.services[self.target]
        await service.kill()
        action = self.randomness.choice(_ACTIONS)
        service.arm(f"{self.randomness.choice(self.places)}={action}@{self.passage()}")
        await service.restart()
        await service.becomes_ready(_READY_SECONDS)
        await self.provoke()
        if action == "kill":
            await service.until_ended(_REACHED_SECONDS)

    async def heal(self) -> None:
        """Start it again as it should be."""
        service = self.scene.cluster.services[self.target]
        await service.stop()
        service.disarm()
        await service.restart()

    def passage(self) -> int:
        """Draw at which time it breaks."""
        return self.randomness.randint(*_PASSAGES)

    async def provoke(self) -> None:
        """Bring it there; by default the load does."""


class ArmedInWrite(Armed):
    """A score service around a commit and its apply."""

    places = ("before_commit", "after_commit", "after_apply")


class ArmedInRebuild(Armed):
    """A score service that rebuilds a board."""

    places = ("mid_rebuild", "before_switch")

    def passage(self) -> int:
        """Draw at which time it breaks: few boards are rebuilt."""
        return self.randomness.randint(1, 2)

    async def provoke(self) -> None:
        """Give it something to rebuild."""
        await self.scene.cluster.valkeys.primary.command("FLUSHALL")


class ArmedGateway(Armed):
    """A gateway around an award."""

    places = ("before_award", "after_award", "after_reserve")


FAILPOINT_FAULTS: Final[Mapping[str, FaultKind]] = {
    "armed_in_write": FaultKind(ArmedInWrite, SCORES, weight=3, hold=(0.5, 3.0)),
    "armed_in_rebuild": FaultKind(ArmedInRebuild, SCORES, weight=2, hold=(0.5, 3.0), locks=("valkey",)),
    "armed_gateway": FaultKind(ArmedGateway, GATEWAYS, weight=2, hold=(0.5, 3.0)),
}
