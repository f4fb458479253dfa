"""What can be broken: the shape of every fault, and of the kinds among which a schedule draws."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from faults.cluster.cluster import Cluster
from faults.cluster.member import Member
from faults.model.history import History


@dataclass(frozen=True, slots=True)
class Scene:
    """Where something is broken."""

    cluster: Cluster
    history: History

    def member(self, name: str) -> Member:
        """Find a process: a service, `archiver`, `standby`, or `postgres` or `valkey`: those in use."""
        stores: Mapping[str, Member] = {
            "postgres": self.cluster.postgreses.primary,
            "standby": self.cluster.postgreses.standby,
            "valkey": self.cluster.valkeys.primary,
            "archiver": self.cluster.archiver,
        }
        return stores.get(name) or self.cluster.services[name]


class Injection(ABC):
    """One fault, injected and healed once.

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
        """Inject it."""

    @abstractmethod
    async def heal(self) -> None:
        """Heal it."""


class OneShot(Injection):
    """Something done to the stack that is over when it is done, and needs no mending."""

    async def heal(self) -> None:
        """Leave it as it is."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault."""

    make: Callable[[Scene, str, random.Random], Injection]
    targets: Sequence[str]
    weight: int = 1
    """How often it comes, compared with others."""
    hold: tuple[float, float] = (0.5, 3.0)
    """Seconds for which it stays broken."""
    locks: tuple[str, ...] = ()
    """What it breaks besides its target: no two faults at the same time break the same."""


Catalogue = Mapping[str, FaultKind]
