"""What a nemesis does with a schedule."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from faults.cluster.cluster import Cluster
from faults.model.history import Fault, History
from faults.nemesis.injection import FaultKind, Injection, Scene
from faults.nemesis.nemesis import Nemesis
from faults.nemesis.schedule import Planned, Turn


@dataclass
class FakeCluster:
    """Notes what is done to it."""

    done: list[str] = field(default_factory=list)
    broken: bool = False

    async def until_ready(self) -> None:
        self.done.append("ready")
        if self.broken:
            raise RuntimeError("a part did not come back")


class Noted(Injection):
    """Breaks nothing."""

    def __init__(self, scene: Scene, target: str, randomness: random.Random) -> None:
        super().__init__(scene, target, randomness)
        self.done = cast("FakeCluster", scene.cluster).done

    async def inject(self) -> None:
        self.done.append(f"inject {self.target} {self.randomness.randrange(1000)}")

    async def heal(self) -> None:
        self.done.append(f"heal {self.target}")


class Endless(Noted):
    """Cannot be healed."""

    async def heal(self) -> None:
        await asyncio.Event().wait()


def plan(target: str, *, kind: str = "noted", after: float = 0.0, hold: float = 0.0) -> Planned:
    return Planned(kind, target, seed=4, after=after, hold=hold)


@dataclass
class World:
    """A nemesis and what it leaves behind."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    history: History = field(default_factory=History)
    told: list[Turn] = field(default_factory=list)

    async def run(self, turns: Any, seconds: float = 10.0) -> None:
        scene = Scene(cast("Cluster", self.cluster), self.history)
        kinds = {"noted": FaultKind(Noted, ("a", "b")), "endless": FaultKind(Endless, ("b",))}
        await Nemesis(scene, kinds, self.told.append).run(turns, seconds)


@pytest.fixture
def world() -> World:
    return World()


async def test_each_turn_is_healed_before_the_next_begins(world: World) -> None:
    turns = [Turn(0.0, (plan("a"),)), Turn(0.0, (plan("b"),))]
    await world.run(turns)
    assert world.cluster.done == ["inject a 241", "heal a", "ready", "inject b 241", "heal b", "ready"]
    assert world.told == turns


async def test_a_pair_is_broken_at_the_same_time(world: World) -> None:
    await world.run([Turn(0.0, (plan("a", hold=0.2), plan("b", after=0.05)))])
    done = world.cluster.done
    assert sorted(done[:-1]) == ["heal a", "heal b", "inject a 241", "inject b 241"]
    assert done.index("inject b 241") < done.index("heal a")
    assert done[-1] == "ready"


async def test_the_history_has_what_was_broken_and_when(world: World) -> None:
    await world.run([Turn(0.0, (plan("a", hold=0.1),))])
    (fault,) = world.history.events
    assert isinstance(fault, Fault)
    assert (fault.name, fault.target) == ("noted", "a")
    assert fault.ended - fault.began >= 0.1


async def test_it_begins_no_turn_after_its_time(world: World) -> None:
    turns: Iterator[Turn] = itertools.repeat(Turn(0.05, (plan("a"),)))
    async with asyncio.timeout(60):
        await world.run(turns, seconds=0.3)
    assert len(world.told) <= 6


async def test_a_part_that_does_not_restart_ends_it(world: World) -> None:
    world.cluster.broken = True
    with pytest.raises(RuntimeError, match="did not come back"):
        await world.run([Turn(0.0, (plan("a"),)), Turn(0.0, (plan("b"),))])
    assert len(world.told) == 1


async def test_a_fault_that_cannot_be_healed_ends_it_and_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faults.nemesis.nemesis._STEP_SECONDS", 0.2)
    pair = Turn(0.0, (plan("a", hold=60), plan("b", kind="endless")))
    with pytest.raises(ExceptionGroup) as raised:
        await world.run([pair, pair])
    assert [str(error) for error in raised.value.exceptions] == [
        "Waited 0.2 s in vain for endless b to be healed."
    ]
    assert len(world.told) == 1
