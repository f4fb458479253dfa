"""Stores that lose what they knew: PostgreSQL by its operator's doing, Valkey in every way."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from faults.cluster.postgres import IMMEDIATE
from faults.model.history import Restore
from faults.nemesis.injection import FaultKind, Injection, OneShot
from local_stack.servers.ports import HOST

_HELD: Final = (1.0, 4.0)
_REJECTED: Final = (10.5, 11.0)
"""Longer than streams may be stale, and so longer than reads: see `faults/rules/streams/progress.py`."""


class Restored(Injection):
    """PostgreSQL is put back to a copy that was made some seconds ago.

    Files of ledgers that were written after it are set aside, as their last awards may be lost. Those of
    before have only awards that were some seconds old already.
    """

    async def inject(self) -> None:
        """Make the copy."""
        self.copied = time.monotonic()
        self.copy = self.scene.cluster.folder / f"copy-{time.monotonic_ns()}"
        await self.scene.cluster.postgres.back_up(self.copy)
        self.files = self._list_files()

    async def heal(self) -> None:
        """Put it back, keep the former data, and make the standby anew, which knows too much."""
        pair, former = self.scene.cluster.postgreses, self.scene.cluster.name_former()
        began = time.monotonic()
        await pair.primary.stop(IMMEDIATE)
        await pair.standby.stop(IMMEDIATE)
        await self.scene.cluster.archiver.kill()
        for file in self._list_files() - self.files:
            aside = self.scene.cluster.ledgers / former.name
            aside.mkdir(exist_ok=True)
            file.rename(aside / file.name)
        pair.primary.put_aside(former)
        pair.primary.put_back(self.copy)
        pair.standby.remove_data()
        await pair.primary.restart()
        restore = Restore(began=began, ended=time.monotonic(), former=str(former), copied=self.copied)
        self.scene.history.add(restore)
        await pair.follow()

    def _list_files(self) -> set[Path]:
        return set(self.scene.cluster.ledgers.glob("*.ledger"))


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


class WritesRejected(Injection):
    """Valkey answers what only reads, and rejects writes."""

    reject: ClassVar[Sequence[str | int]]
    accept: ClassVar[Sequence[str | int]]

    async def inject(self) -> None:
        """Have it reject."""
        await self.scene.cluster.valkeys.primary.command(*self.reject)

    async def heal(self) -> None:
        """Have it accept again."""
        await self.scene.cluster.valkeys.primary.command(*self.accept)


class TooFewReplicas(WritesRejected):
    """It has fewer replicas than it wants for a write."""

    reject = "CONFIG", "SET", "min-replicas-to-write", 9
    accept = "CONFIG", "SET", "min-replicas-to-write", 0


class ReadOnly(WritesRejected):
    """It is made a replica, of a server that is not there."""

    reject = "REPLICAOF", HOST, 1
    accept = "REPLICAOF", "NO", "ONE"


class Full(WritesRejected):
    """It has reached `maxmemory`."""

    reject = "CONFIG", "SET", "maxmemory", 1
    accept = "CONFIG", "SET", "maxmemory", 0


STORE_FAULTS: Final[Mapping[str, FaultKind]] = {
    "restored": FaultKind(Restored, ("postgres",), hold=_HELD, locks=("standby",)),
    "wiped": FaultKind(Wiped, ("valkey",), hold=(0.0, 0.0)),
    "emptied": FaultKind(Emptied, ("valkey",)),
    "rolled_back": FaultKind(RolledBack, ("valkey",), hold=_HELD),
    "failed_over": FaultKind(FailedOver, ("valkey",), hold=_HELD),
    "too_few_replicas": FaultKind(TooFewReplicas, ("valkey",), hold=_REJECTED),
    "read_only": FaultKind(ReadOnly, ("valkey",), hold=_REJECTED),
    "full": FaultKind(Full, ("valkey",), hold=_REJECTED),
}
