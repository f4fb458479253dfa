"""Backends: they award through the client library, once, again, at the same time, and against each other.

Everything that is asked for is recorded, however it ends. What is done with an award is drawn at random.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from faults.backends.backend import Backend
from faults.backends.memory import Memory, Remembered
from faults.load.load import GATEWAY_BOARD, Load
from faults.model.history import Asked, AwardCall, Outcome

_PAUSE_MAX: Final = 1.0
_UNDATED: Final = 0.8
"""How many awards say nothing of when they happened."""
_BACKDATED_MAX: Final = 15.0
"""Seconds ago: longer than a season and its grace."""
_SHORT: Final = 0.03
"""Seconds in which a caller that leaves does so: about as long as an award takes."""


class Backends:
    """All backends, on the boards of a load."""

    def __init__(
        self,
        backends: Sequence[Backend],
        memory: Memory,
        randomness: random.Random,
        load: Load,
        players: Callable[[], Sequence[str]],
    ) -> None:
        """Take what tells the ids of the players that are known."""
        self._backends = backends
        self._memory = memory
        self._randomness = randomness
        self._load = load
        self._players = players
        self.users = [f"user-{number:04}" for number in range(load.users)]
        mix: dict[Callable[[], Awaitable[object]], float] = {
            self._award_new: 78,
            self._leave: 3,
            self._hurry: 3,
            self._repeat: 4,
            self._replay: 3,
            self._conflict: 2,
            self._race: 3,
            self._collide: 2,
            self._ask_wrongly: 1,
            self._look_up: 2,
        }
        self._deeds, self._weights = [*mix], [*mix.values()]

    async def act(self) -> None:
        """Do one of the things that backends do."""
        (deed,) = self._randomness.choices(self._deeds, self._weights)
        await deed()

    async def _award_new(self) -> None:
        remembered = self._memory.keep(self.draw())
        await self._pursue(remembered, self._any(), await self._award(remembered, self._any()))

    async def _leave(self) -> None:
        """Ask and do not wait for the end of it; half of the time ask again."""
        remembered, backend = self._memory.keep(self.draw()), self._any()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._randomness.random() * _SHORT):
                await self._award(remembered, backend)
        if remembered.revision is None and self._chance(0.5):
            await self._pursue(remembered, backend, await self._award(remembered, backend))

    async def _hurry(self) -> None:
        """Ask with hardly enough time, and leave it at that."""
        seconds = self._randomness.random() * _SHORT
        await self._award(self._memory.keep(self.draw()), self._any(), seconds)

    async def _repeat(self) -> None:
        """Send an earlier request once more, also one of an award that is archived by now."""
        if remembered := self._memory.any():
            await self._pursue(remembered, self._any(), await self._award(remembered, self._any()))

    async def _replay(self) -> None:
        """Ask for an earlier award with another request."""
        if remembered := self._memory.any():
            await self._any().award(self._again(remembered.asked))

    async def _conflict(self) -> None:
        """Ask for something else under the id of an earlier award."""
        if remembered := self._memory.any():
            remembered.contested = True
            await self._any().award(self._change(remembered.asked))

    async def _race(self) -> None:
        """Ask for the same award twice at the same time, half of the time with the same request."""
        remembered = self._memory.keep(self.draw())
        asked = remembered.asked if self._chance(0.5) else self._again(remembered.asked)
        await _together(self._award(remembered, self._any()), self._any().award(asked))

    async def _collide(self) -> None:
        """Ask for two different awards under one new id at the same time."""
        asked = self.draw()
        await _together(self._any().award(asked), self._any().award(self._change(asked)))

    async def _ask_wrongly(self) -> None:
        """Ask for what no service may give."""
        wrong = self._randomness.choice(({"points": 0}, {"points": 1_000_001}, {"user_id": "no blanks"}))
        await self._any().award(self.draw()._replace(**wrong))

    async def _look_up(self) -> None:
        remembered = self._memory.any()
        if remembered:
            await self._any().look_up(remembered)

    async def _pursue(self, remembered: Remembered, backend: Backend, call: AwardCall) -> None:
        """Ask again until the outcome is known, but for a few that are left unknown."""
        pause = 0.1
        while call.outcome is Outcome.UNKNOWN and self._chance(0.98):
            await asyncio.sleep(pause * self._randomness.random())
            pause = min(_PAUSE_MAX, pause * 2)
            call = await self._award(remembered, backend)

    async def _award(
        self,
        remembered: Remembered,
        backend: Backend,
        timeout: float | None = None,  # noqa: ASYNC109 - the client's
    ) -> AwardCall:
        call = await backend.award(remembered.asked, timeout)
        if call.result:
            remembered.revision = call.result.revision
        return call

    def draw(self) -> Asked:
        """Make up a new award. Some boards and some users get far more than others."""
        boards = self._load.boards
        board = boards[1 % len(boards)] if self._chance(0.5) else self._randomness.choice(boards)
        most = self._load.max_points if self._chance(0.05) else min(20, self._load.max_points)
        return Asked(
            board_id=board,
            award_id=self._uuid(),
            user_id=self._draw_user(board),
            points=self._randomness.randint(1, most),
            action_type="match",
            action_id=f"match-{self._randomness.randrange(50)}",
            request_id=self._uuid(),
            occurred_at=self._draw_time(),
        )

    def _draw_time(self) -> int | None:
        """Draw when an award happened; most do not say so. Some come too late for their season."""
        if self._chance(_UNDATED):
            return None
        return time.time_ns() // 1000 - int(self._randomness.random() * _BACKDATED_MAX * 1_000_000)

    def _draw_user(self, board: str) -> str:
        players = self._players() if board == GATEWAY_BOARD else ()
        if players and self._chance(0.5):
            return self._randomness.choice(players)
        return self.users[int(len(self.users) * self._randomness.random() ** 2)]

    def _change(self, asked: Asked) -> Asked:
        """Make another payload of it; points always differ, so that they tell which it is."""
        points = asked.points + 1 if asked.points < self._load.max_points else 1
        changed = self._again(asked)._replace(points=points)
        if self._chance(0.5):
            return changed._replace(user_id=self._draw_user(asked.board_id))
        return changed

    def _again(self, asked: Asked) -> Asked:
        return asked._replace(request_id=self._uuid())

    def _any(self) -> Backend:
        return self._randomness.choice(self._backends)

    def _chance(self, probability: float) -> bool:
        return self._randomness.random() < probability

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._randomness.getrandbits(128), version=4))


async def _together(*calls: Awaitable[object]) -> None:
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(_awaited(call))


async def _awaited(call: Awaitable[object]) -> None:
    await call
