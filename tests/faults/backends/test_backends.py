"""What backends do with awards, by a backend that answers as a test wants."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from faults.backends.backends import Backends
from faults.backends.memory import Memory, Remembered
from faults.load.load import Load
from faults.model.history import Asked, AwardCall, Outcome, Result

_LOAD = Load(boards=("main", "season-hot", "season-b"), users=5, max_points=50)


@dataclass(slots=True)
class ScriptedBackend:
    """Tells of each award what a function says; by default that it was made."""

    outcome: Callable[[int], Outcome] = lambda _: Outcome.MADE
    asked: list[Asked] = field(default_factory=list)
    looked_up: list[Remembered] = field(default_factory=list)
    begun: int = 0
    under_way: int = 0
    most: int = 0

    async def award(self, asked: Asked, timeout: float | None = None) -> AwardCall:  # noqa: ASYNC109
        self.asked.append(asked)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        outcome = self.outcome(len(self.asked))
        result = Result(asked.points, asked.points, revision=1) if outcome is Outcome.MADE else None
        return AwardCall(caller="b", asked=asked, began=0, ended=1, outcome=outcome, result=result)

    async def look_up(self, remembered: Remembered) -> None:
        self.looked_up.append(remembered)


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest.fixture
def memory() -> Memory:
    return Memory(random.Random(1))


@pytest.fixture
def backends(backend: ScriptedBackend, memory: Memory) -> Backends:
    scripted: Any = backend
    return Backends([scripted], memory, random.Random(1), _LOAD, lambda: ["a-player"])


async def test_what_is_drawn_is_within_the_load(backends: Backends) -> None:
    drawn = [backends.draw() for _ in range(500)]
    assert {asked.board_id for asked in drawn} == {*_LOAD.boards}
    assert sum(asked.board_id == "season-hot" for asked in drawn) > 250
    assert all(1 <= asked.points <= 50 for asked in drawn)
    assert len({asked.award_id for asked in drawn}) == len({asked.request_id for asked in drawn}) == 500
    players = [asked for asked in drawn if asked.user_id == "a-player"]
    assert {asked.board_id for asked in players} == {"main"}


async def test_unknown_award_is_asked_for_again_with_the_same_request(
    backends: Backends, backend: ScriptedBackend
) -> None:
    backend.outcome = lambda count: Outcome.UNKNOWN if count < 4 else Outcome.MADE
    await backends._award_new()
    assert len(backend.asked) == 4
    assert len(set(backend.asked)) == 1


async def test_rejected_award_is_not_asked_for_again(backends: Backends, backend: ScriptedBackend) -> None:
    backend.outcome = lambda _: Outcome.REJECTED
    await backends._award_new()
    assert len(backend.asked) == 1


async def test_repeat_replay_and_conflict_are_about_an_earlier_award(
    backends: Backends, backend: ScriptedBackend
) -> None:
    await backends._award_new()
    for deed in (backends._repeat, backends._replay, backends._conflict):
        await deed()
    first, repeat, replay, conflict = backend.asked
    assert repeat == first
    assert replay.request_id != first.request_id
    assert replay._replace(request_id=first.request_id) == first
    assert conflict.award_id == first.award_id
    assert conflict.points != first.points
    assert 1 <= conflict.points <= 50


async def test_earlier_award_is_looked_up(backends: Backends, backend: ScriptedBackend) -> None:
    await backends._look_up()
    await backends._award_new()
    await backends._look_up()
    assert [remembered.asked for remembered in backend.looked_up] == [backend.asked[0]]


async def test_race_asks_for_one_award_twice_at_once(backends: Backends, backend: ScriptedBackend) -> None:
    for _ in range(10):
        await backends._race()
    assert backend.most == 2
    pairs = [backend.asked[number : number + 2] for number in range(0, 20, 2)]
    assert all(one._replace(request_id=None) == other._replace(request_id=None) for one, other in pairs)
    assert {one.request_id == other.request_id for one, other in pairs} == {True, False}


async def test_collision_asks_for_two_payloads_at_once_that_nobody_remembers(
    backends: Backends, backend: ScriptedBackend, memory: Memory
) -> None:
    await backends._collide()
    one, other = backend.asked
    assert backend.most == 2
    assert one.award_id == other.award_id
    assert one.points != other.points
    assert memory.any() is None


async def test_every_deed_is_done_sooner_or_later(
    backends: Backends, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: set[object] = set()

    def note(deed: object) -> Callable[[], Any]:
        async def act() -> None:
            done.add(deed)

        return act

    deeds = [*backends._deeds]
    monkeypatch.setattr(backends, "_deeds", [note(deed) for deed in deeds])
    for _ in range(2_000):
        await backends.act()
    assert done == {*deeds}
    assert backend.asked == []
