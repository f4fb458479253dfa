"""Players: they do actions well and badly, once and again, as the page does and otherwise."""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from faults.cluster.actions import read_answers
from faults.load.load import Load
from faults.model.history import History
from faults.players.account import Account
from faults.players.gateway_client import GatewayClient
from faults.players.player import Completion, Player

_FAVOURITES: Final = {"quick": 12, "slow": 3}
"""How much rather than others these are done, which pay again and again."""
_HASTE: Final = 0.2
_SLOW_SECONDS: Final = 0.4
_NEWCOMERS_MAX: Final = 16


class Players:
    """All players of a gateway: regulars, who stay, and newcomers."""

    def __init__(
        self, gateway: GatewayClient, history: History, randomness: random.Random, load: Load
    ) -> None:
        self._gateway = gateway
        self._history = history
        self._randomness = randomness
        self._name = f"player-{uuid.UUID(int=randomness.getrandbits(128)).hex[:8]}"
        self._count = 0
        self.regulars = [self._join() for _ in range(load.players)]
        self._newcomers: deque[Player] = deque(maxlen=_NEWCOMERS_MAX)
        self._answers = read_answers()
        self._action_ids = [*self._answers]
        self._action_weights = [_FAVOURITES.get(action_id, 1) for action_id in self._answers]
        mix: dict[Callable[[], Awaitable[object]], float] = {
            self._finish: 70,
            self._finish_twice: 8,
            self._race: 8,
            self._err: 6,
            self._lend: 4,
            self._forge: 2,
            self._come: 2,
        }
        self._deeds, self._weights = [*mix], [*mix.values()]

    async def act(self) -> None:
        """Do one of the things that players do."""
        (deed,) = self._randomness.choices(self._deeds, self._weights)
        await deed()

    def choose(self) -> Player:
        """Choose one, a regular or a newcomer."""
        return self._randomness.choice([*self.regulars, *self._newcomers])

    def user_ids(self) -> list[str]:
        """List the regulars that have logged in."""
        return [player.account.user_id for player in self.regulars if player.account.user_id]

    async def _finish(self) -> None:
        player = self.choose()
        if done := await self._do(player):
            await player.complete(done)

    async def _finish_twice(self) -> None:
        """Complete an action, and again with the same key, another, or none."""
        player = self.choose()
        if done := await self._do(player):
            await player.complete(done)
            await player.complete(self._with_key(done, keep=self._chance(0.5)))

    async def _race(self) -> None:
        """Complete an action twice at the same time."""
        player = self.choose()
        if done := await self._do(player):
            async with asyncio.TaskGroup() as group:
                group.create_task(player.complete(done))
                group.create_task(player.complete(self._with_key(done, keep=self._chance(0.3))))

    async def _err(self) -> None:
        """Answer wrongly, and most times rightly after that."""
        player = self.choose()
        if done := await self._do(player):
            await player.complete(self._with_key(Completion(done.token, "wrong", None)))
            if self._chance(0.7):
                await player.complete(done)

    async def _lend(self) -> None:
        """Have another player try a token, and half of the time complete it oneself after that."""
        player, other = self.choose(), self.choose()
        done = await self._do(player) if player is not other else None
        if done:
            await other.complete(self._with_key(done))
            if self._chance(0.5):
                await player.complete(done)

    async def _forge(self) -> None:
        """Change the signature of a token, which is never completed."""
        player = self.choose()
        if done := await self._do(player):
            head, signature = done.token.rsplit(".", 1)
            forged = f"{head}.{signature[::-1]}"
            await player.complete(Completion(forged, done.answer, done.key))

    async def _come(self) -> None:
        """Have a new user register and complete an action."""
        player = self._join()
        self._newcomers.append(player)
        if done := await self._do(player):
            await player.complete(done)

    async def _do(self, player: Player) -> Completion | None:
        """Start an action and find out its answer, now and then faster than that can be done."""
        (action_id,) = self._randomness.choices(self._action_ids, self._action_weights)
        token = await player.start(action_id)
        if token is None:
            return None
        if action_id == "slow" and not self._chance(_HASTE):
            await asyncio.sleep(_SLOW_SECONDS)
        return self._with_key(Completion(token, self._answers[action_id], None))

    def _with_key(self, done: Completion, *, keep: bool = False) -> Completion:
        """Send the answer under a key of its own, or under none, which is rare."""
        if keep:
            return done
        key = str(uuid.UUID(int=self._randomness.getrandbits(128))) if self._chance(0.9) else None
        return Completion(done.token, done.answer, key)

    def _join(self) -> Player:
        self._count += 1
        name = f"{self._name}-{self._count}"
        account = Account(self._gateway, name, is_careless=self._count % 2 == 0)
        return Player(account, self._gateway, self._history, self._randomness)

    def _chance(self, probability: float) -> bool:
        return self._randomness.random() < probability
