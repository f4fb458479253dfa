"""What can be broken: the shape of every fault, and of the kinds among which a schedule draws."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from faults.cluster import Cluster
from faults.history import History
from faults.member import Member


@dataclass(frozen=True, slots=True)
class Scene:
    """Where something is broken."""

    cluster: Cluster
    history: History

    def member(self, name: str) -> Member:
        """Find a process: a service, `postgres` or `valkey`, which are those in use, or `standby`."""
        stores: Mapping[str, Member] = {
            "postgres": self.cluster.postgreses.primary,
            "standby": self.cluster.postgreses.standby,
            "valkey": self.cluster.valkeys.primary,
        }
        return stores.get(name) or self.cluster.services[name]


class Breakage(ABC):
    """One thing that is broken and mended again, once.

    Neither waits for a part that may be broken by another fault at the same time; who runs it waits for all
    parts afterwards.
    """

    def __init__(self, scene: Scene, target: str, randomness: random.Random) -> None:
        """Take what it is broken at, and where its details are drawn."""
        self.scene = scene
        self.target = target
        self.randomness = randomness

    @abstractmethod
    async def inject(self) -> None:
        """Break it."""

    @abstractmethod
    async def heal(self) -> None:
        """Mend it."""


class Rotation(Breakage):
    """Something done to the stack that is over when it is done, and needs no mending."""

    async def heal(self) -> None:
        """Leave it as it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault."""

    make: Callable[[Scene, str, random.Random], Breakage]
    targets: Sequence[str]
    weight: int = 1
    """How often it comes, compared with others."""
    hold: tuple[float, float] = (0.5, 3.0)
    """Seconds for which it stays broken."""
    locks: tuple[str, ...] = ()
    """What it breaks besides its target: no two faults at the same time break the same."""


Catalogue = Mapping[str, Kind]
