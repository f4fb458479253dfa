"""Stores that lose what they knew: PostgreSQL by its operator's doing, Valkey in every way."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from faults.cluster.postgres import IMMEDIATE
from faults.model.history import Restore
from faults.nemesis.injection import FaultKind, Injection, OneShot

_HELD: Final = (1.0, 4.0)


class Restored(Injection):
    """PostgreSQL is put back to a copy that was made some seconds ago."""

    async def inject(self) -> None:
        """Make the copy."""
        self.copied = time.monotonic()
        self.copy = self.scene.cluster.folder / f"copy-{time.monotonic_ns()}"
        await self.scene.cluster.postgres.back_up(self.copy)

    async def heal(self) -> None:
        """Put it back, keep the former data, and make the standby anew, which knows too much."""
        pair, former = self.scene.cluster.postgreses, self.scene.cluster.name_former()
        began = time.monotonic()
        await pair.primary.stop(IMMEDIATE)
        await pair.standby.stop(IMMEDIATE)
        pair.primary.put_aside(former)
        pair.primary.put_back(self.copy)
        pair.standby.remove_data()
        await pair.primary.restart()
        restore = Restore(began=began, ended=time.monotonic(), former=str(former), copied=self.copied)
        self.scene.history.add(restore)
        await pair.follow()


class Wiped(OneShot):
    """Valkey forgets everything."""

    async def inject(self) -> None:
        """Empty it."""
        await self.scene.cluster.valkeys.primary.command("FLUSHALL")


class Emptied(Injection):
    """Valkey dies and restarts without its file."""

    async def inject(self) -> None:
        """Kill it."""
        await self.scene.cluster.valkeys.primary.kill()

    async def heal(self) -> None:
        """Start it empty."""
        valkey = self.scene.cluster.valkeys.primary
        valkey.put_back(None)
        await valkey.restart()


class RolledBack(Injection):
    """Valkey dies and restarts as it was some seconds ago."""

    async def inject(self) -> None:
        """Copy its file."""
        self.copy = self.scene.cluster.folder / f"valkey-copy-{time.monotonic_ns()}"
        await asyncio.to_thread(self.scene.cluster.valkeys.primary.copy_file, self.copy)

    async def heal(self) -> None:
        """Kill it, and start it with the copy."""
        valkey = self.scene.cluster.valkeys.primary
        await valkey.kill()
        valkey.put_back(self.copy)
        await valkey.restart()


class FailedOver(Injection):
    """A replica that lacks the last seconds takes Valkey's place."""

    async def inject(self) -> None:
        """Part the replica from the primary."""
        self.scene.cluster.valkeys.link.hold()

    async def heal(self) -> None:
        """Have it take over, and the former primary follow it."""
        cluster = self.scene.cluster
        await cluster.valkeys.fail_over(cluster.links_to("valkey"))
        cluster.valkeys.link.release()


STORE_FAULTS: Final[Mapping[str, FaultKind]] = {
    "restored": FaultKind(Restored, ("postgres",), hold=_HELD, locks=("standby",)),
    "wiped": FaultKind(Wiped, ("valkey",), hold=(0.0, 0.0)),
    "emptied": FaultKind(Emptied, ("valkey",)),
    "rolled_back": FaultKind(RolledBack, ("valkey",), hold=_HELD),
    "failed_over": FaultKind(FailedOver, ("valkey",), hold=_HELD),
}
