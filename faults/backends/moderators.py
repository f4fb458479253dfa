"""Moderators: they take awards back, once, again, at the same time, and by plans, and hide and show users.

Who does not know an outcome asks again with the same ids until it is known.
"""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from faults.backends.backend import Backend
from faults.backends.memory import Memory
from faults.backends.moderator import Moderator
from faults.model.history import Outcome
from score_client import Visibility

_PAUSE_MAX: Final = 1.0
_KEPT: Final = 200
_HIDDEN_MAX: Final = 30
"""Users who are hidden at once: most shall stay in sight."""


class _Call(Protocol):
    @property
    def outcome(self) -> Outcome: ...


_AnyCall = TypeVar("_AnyCall", bound=_Call)


class Moderators:
    """All moderators. They use the clients of the backends."""

    def __init__(self, backends: Sequence[Backend], memory: Memory, randomness: random.Random) -> None:
        self._backends = backends
        self._moderators = [Moderator(one.name, one.client, one.history) for one in backends]
        self._memory = memory
        self._randomness = randomness
        self._made: deque[tuple[str, str, str]] = deque(maxlen=_KEPT)
        """The newest reversals that were asked for: the board, and the ids of award and reversal."""
        self._hidden: deque[tuple[str, str]] = deque()
        mix: dict[Callable[[], Awaitable[object]], float] = {
            self._reverse: 34,
            self._repeat: 8,
            self._contest: 6,
            self._reuse: 3,
            self._race: 8,
            self._reverse_while_retried: 8,
            self._guess: 1,
            self._plan: 6,
            self._hide: 14,
            self._show: 12,
        }
        self._deeds, self._weights = [*mix], [*mix.values()]

    async def act(self) -> None:
        """Do one of the things that moderators do."""
        (deed,) = self._randomness.choices(self._deeds, self._weights)
        await deed()

    async def _reverse(self) -> None:
        if remembered := self._memory.any():
            await self._ask(remembered.asked.board_id, remembered.asked.award_id, self._uuid())

    async def _repeat(self) -> None:
        """Take an award back once more, by the same reversal."""
        if self._made:
            await self._ask(*self._randomness.choice(self._made))

    async def _contest(self) -> None:
        """Take an award back by another reversal."""
        if self._made:
            board_id, award_id, _ = self._randomness.choice(self._made)
            await self._ask(board_id, award_id, self._uuid())

    async def _reuse(self) -> None:
        """Take another award back by a reversal that was used."""
        remembered = self._memory.any()
        if self._made and remembered:
            board_id, _, reversal_id = self._randomness.choice(self._made)
            if board_id == remembered.asked.board_id:
                await self._ask(board_id, remembered.asked.award_id, reversal_id)

    async def _race(self) -> None:
        """Take an award back twice at the same time, half of the time by the same reversal."""
        if remembered := self._memory.any():
            board_id, award_id = remembered.asked.board_id, remembered.asked.award_id
            one = self._uuid()
            other = one if self._randomness.random() < 0.5 else self._uuid()  # noqa: PLR2004 - a weight
            await asyncio.gather(self._ask(board_id, award_id, one), self._ask(board_id, award_id, other))

    async def _reverse_while_retried(self) -> None:
        """Take an award back while it is asked for again."""
        if remembered := self._memory.any():
            asked, backend = remembered.asked, self._randomness.choice(self._backends)
            await asyncio.gather(
                backend.award(asked),
                self._ask(asked.board_id, asked.award_id, self._uuid()),
                backend.award(asked),
            )

    async def _guess(self) -> None:
        """Take back what was never made."""
        if remembered := self._memory.any():
            await self._any().reverse(remembered.asked.board_id, self._uuid(), self._uuid())

    async def _plan(self) -> None:
        """Take back all that a user got for an action."""
        remembered = self._memory.any()
        if remembered is None:
            return
        asked = remembered.asked
        plan = await self._any().plan(asked.board_id, asked.user_id, asked.action_id)
        if plan and plan.awards:
            note = f"plan {self._uuid()}"
            await self._pursue(lambda: self._any().apply(plan, note))

    async def _hide(self) -> None:
        if len(self._hidden) >= _HIDDEN_MAX:
            await self._show()
            return
        if remembered := self._memory.any():
            board_id, user_id = remembered.asked.board_id, remembered.asked.user_id
            visibility = self._randomness.choice((Visibility.HIDDEN, Visibility.HIDDEN, Visibility.SHADOWED))
            self._hidden.append((board_id, user_id))
            await self._pursue(lambda: self._any().show(board_id, user_id, visibility))

    async def _show(self) -> None:
        if self._hidden:
            board_id, user_id = self._hidden.popleft()
            await self._pursue(lambda: self._any().show(board_id, user_id, Visibility.VISIBLE))

    async def _ask(self, board_id: str, award_id: str, reversal_id: str) -> None:
        self._made.append((board_id, award_id, reversal_id))
        await self._pursue(lambda: self._any().reverse(board_id, award_id, reversal_id))

    async def _pursue(self, ask: Callable[[], Awaitable[_AnyCall]]) -> None:
        """Ask, and ask again until the outcome is known, but for a few that are left unknown."""
        pause = 0.1
        while (await ask()).outcome is Outcome.UNKNOWN and self._randomness.random() < 0.98:  # noqa: PLR2004
            await asyncio.sleep(pause * self._randomness.random())
            pause = min(_PAUSE_MAX, pause * 2)

    def _any(self) -> Moderator:
        return self._randomness.choice(self._moderators)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._randomness.getrandbits(128), version=4))
