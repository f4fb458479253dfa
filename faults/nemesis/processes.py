"""Processes that die, stand still, or are replaced one after the other."""

import signal
from collections.abc import Mapping
from typing import Final

from faults.cluster.cluster import SERVICES
from faults.cluster.member import Member
from faults.nemesis.injection import FaultKind, Injection, OneShot

_MEMBERS: Final = (*SERVICES, "postgres", "standby", "valkey", "archiver")
_READY_SECONDS: Final = 30.0


class Killed(Injection):
    """A process is killed, and restarts."""

    async def inject(self) -> None:
        """Kill it."""
        self.member: Member = self.scene.member(self.target)
        await self.member.kill()

    async def heal(self) -> None:
        """Start it again."""
        await self.member.restart()


class Paused(Injection):
    """A process stands still, its connections open, and goes on where it was."""

    async def inject(self) -> None:
        """Stop it in its tracks."""
        self.member: Member = self.scene.member(self.target)
        self.member.pause()

    async def heal(self) -> None:
        """Have it go on."""
        self.member.resume()


class Stopped(Killed):
    """A process is asked to end, and restarts."""

    async def inject(self) -> None:
        """Have it end in order."""
        self.member = self.scene.member(self.target)
        await self.member.stop(signal.SIGTERM)


class StoppedAtOnce(Killed):
    """PostgreSQL ends without writing anything down, as its `immediate` stop does."""

    async def inject(self) -> None:
        """Have it end so."""
        self.member = self.scene.member(self.target)
        await self.member.stop(signal.SIGQUIT)


class RollingRestart(OneShot):
    """All replicas of both services are replaced, one after the other."""

    async def inject(self) -> None:
        """Replace each once the one before is ready."""
        for name in SERVICES:
            service = self.scene.cluster.services[name]
            await service.stop()
            await service.restart()
            await service.becomes_ready(_READY_SECONDS)


PROCESS_FAULTS: Final[Mapping[str, FaultKind]] = {
    "killed": FaultKind(Killed, _MEMBERS, weight=4),
    "paused": FaultKind(Paused, _MEMBERS, weight=4),
    "stopped": FaultKind(Stopped, SERVICES, weight=2),
    "stopped_at_once": FaultKind(StoppedAtOnce, ("postgres",)),
    "rolling_restart": FaultKind(RollingRestart, ("services",), hold=(0.0, 0.0), locks=SERVICES),
}
