"""PostgreSQL whose synchronous standby takes over, or is not there: nothing that was acknowledged is lost."""

import math
import time
from collections.abc import Mapping
from typing import Final

from faults.cluster.postgres import FAST, IMMEDIATE, Postgres, PostgresPair
from faults.model.history import Restore
from faults.nemesis.injection import FaultKind, Injection

_SHORT: Final = (0.0, 1.0)
_BOTH: Final = ("standby",)


class Failover(Injection):
    """The primary is gone, and its standby takes its place. It restarts as the standby of that one."""

    async def inject(self) -> None:
        """Have it end."""
        self.began = time.monotonic()
        await self.end(self.pair.primary)

    async def heal(self) -> None:
        """Have the standby take over, keep the former data, and make a new standby of that server."""
        cluster = self.scene.cluster
        await self.pair.take_over(cluster.links_to("postgres"))
        await self.conclude()

    async def end(self, primary: Postgres) -> None:
        """End the primary: here as a crash does."""
        await primary.kill()

    async def conclude(self) -> None:
        """Have the former primary, which has ended, follow its successor."""
        ended, former = time.monotonic(), self.scene.cluster.name_former()
        self.pair.standby.put_aside(former)
        restore = Restore(began=self.began, ended=ended, former=str(former), copied=math.inf)
        self.scene.history.add(restore)
        await self.pair.follow()

    @property
    def pair(self) -> PostgresPair:
        """Both servers."""
        return self.scene.cluster.postgreses


class SwitchedOver(Failover):
    """The same by plan: the primary is stopped in order."""

    async def end(self, primary: Postgres) -> None:
        """Stop it as an operator does."""
        await primary.stop(FAST)


class SplitBrain(Failover):
    """The primary is cut off from its standby, which takes over, and half of the services go on using it."""

    async def inject(self) -> None:
        """Cut it off, and bring the other half of the services to the new primary."""
        self.began = time.monotonic()
        self.pair.link.hold()
        links = self.scene.cluster.links_to("postgres")
        await self.pair.take_over(self.randomness.sample(links, len(links) // 2))

    async def heal(self) -> None:
        """End the former primary, and route all services to the new one."""
        await self.pair.standby.stop(IMMEDIATE)
        self.pair.bring(self.scene.cluster.links_to("postgres"))
        await self.conclude()


class StandbyHeld(Injection):
    """The standby is there and says nothing, so that no commit is confirmed."""

    async def inject(self) -> None:
        """Hold what goes between primary and standby."""
        self.scene.cluster.postgreses.link.hold()

    async def heal(self) -> None:
        """Let it pass, on this connection or on a new one."""
        link = self.scene.cluster.postgreses.link
        if self.randomness.random() < 0.5:  # noqa: PLR2004 - one or the other
            link.reset()
        link.release()


FAILOVER_FAULTS: Final[Mapping[str, FaultKind]] = {
    "switched_over": FaultKind(SwitchedOver, ("postgres",), hold=_SHORT, locks=_BOTH),
    "taken_over": FaultKind(Failover, ("postgres",), hold=_SHORT, locks=_BOTH),
    "split_brain": FaultKind(SplitBrain, ("postgres",), locks=_BOTH),
    "standby_held": FaultKind(StandbyHeld, ("standby",)),
}
