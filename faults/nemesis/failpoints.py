"""Processes that break at the worst moment of their work, by failpoints."""

from collections.abc import Mapping
from typing import Final

from faults.cluster.cluster import GATEWAYS, SCORES
from faults.cluster.command import AGED
from faults.nemesis.injection import FaultKind, Injection

_READY_SECONDS: Final = 15.0
_REACHED_SECONDS: Final = 5.0
_ACTIONS: Final = ("kill", "kill", "fail", "pause")
_PASSAGES: Final = (1, 30)
_STEPS: Final = (1, 4)
"""The same of what archives old awards: it passes each about once a board."""


class Armed(Injection):
    """A process breaks at a failpoint, the N-th time that it passes it."""

    names: tuple[str, ...]

    async def inject(self) -> None:
        """Restart it with a failpoint, and give it some time to reach that."""
        service = self.scene.cluster.services[self.target]
        await service.kill()
        action = self.randomness.choice(_ACTIONS)
        spec = f"{self.randomness.choice(self.names)}={action}@{self.passage()}"
        service.launcher = ("faults.launchers.failpoints", spec)
        await service.restart()
        await service.becomes_ready(_READY_SECONDS)
        await self.provoke()
        if action == "kill":
            await service.until_ended(_REACHED_SECONDS)

    async def heal(self) -> None:
        """Restart it without failpoints."""
        service = self.scene.cluster.services[self.target]
        await service.stop()
        service.launcher = ()
        await service.restart()

    def passage(self) -> int:
        """Draw the passage at which it breaks."""
        return self.randomness.randint(*_PASSAGES)

    async def provoke(self) -> None:
        """Have the process pass the failpoint; by default the load does."""


class ArmedInWrite(Armed):
    """A score service breaks around a commit, or after it was applied."""

    names = ("before_commit", "after_commit", "after_apply")


class ArmedInRebuild(Armed):
    """A score service breaks while it rebuilds a board."""

    names = ("mid_rebuild", "before_switch")

    def passage(self) -> int:
        """Draw one of the first passages: few boards are rebuilt."""
        return self.randomness.randint(1, 2)

    async def provoke(self) -> None:
        """Empty Redis, so that every board has to be rebuilt."""
        await self.scene.cluster.valkeys.primary.command("FLUSHALL")


class ArmedArchiver(Injection):
    """What archives old awards breaks at one of its steps, each time that it is run again."""

    names = (
        "before_files",
        "mid_files",
        "after_files",
        "mid_checkpoint",
        "before_cut",
        "after_cut",
        "mid_delete",
    )

    async def inject(self) -> None:
        """End it, and have it run with a failpoint."""
        archiver, passage = self.scene.cluster.archiver, self.randomness.randint(*_STEPS)
        spec = f"{self.randomness.choice(self.names)}={self.randomness.choice(_ACTIONS)}@{passage}"
        archiver.launcher = (*AGED, "faults.launchers.failpoints", spec)
        await archiver.kill()

    async def heal(self) -> None:
        """Have it run without failpoints from its next time on."""
        self.scene.cluster.archiver.launcher = AGED


class ArmedGateway(Armed):
    """A gateway breaks around an award."""

    names = ("before_award", "after_award", "after_reserve")


FAILPOINT_FAULTS: Final[Mapping[str, FaultKind]] = {
    "armed_in_write": FaultKind(ArmedInWrite, SCORES, weight=3, hold=(0.5, 3.0)),
    "armed_in_rebuild": FaultKind(ArmedInRebuild, SCORES, weight=2, hold=(0.5, 3.0), locks=("valkey",)),
    "armed_archiver": FaultKind(ArmedArchiver, ("archiver",), weight=3, hold=(2.0, 5.0)),
    "armed_gateway": FaultKind(ArmedGateway, GATEWAYS, weight=2, hold=(0.5, 3.0)),
}
