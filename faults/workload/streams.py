"""All streams of a workload, and whether they show the boards as these are at their heads."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import cycle

from faults.backends.backend import NO_ANSWER
from faults.backends.subscribers import Subscriber
from faults.backends.watchers import Watcher
from faults.load.load import GATEWAY_BOARD, Load
from faults.load.observer import Head, Observer
from faults.load.rows import rows_of_standings
from faults.model.history import History
from faults.players.gateway_client import GatewayClient
from faults.players.player import Player
from faults.players.sockets import EventFollower, Follower, SocketFollower
from score_client import BoardNotFoundError, ScoreClient

_TOPS = (10, 1, 25)
_TOP_MAX = 100
_USERS_MAX = 1_000
_LOOK_SECONDS = 0.02


class Streams:
    """The watchers, sockets, event streams and subscribers."""

    def __init__(self, history: History, randomness: random.Random, load: Load) -> None:
        self._history = history
        self._randomness = randomness
        self._load = load
        self._watchers: list[Watcher] = []
        self._followers: list[Follower] = []
        self._subscribers: list[Subscriber] = []

    def watch(self, clients: Sequence[ScoreClient], users: Sequence[str]) -> None:
        """Have watchers on all boards: a third for everyone's scores, for the top, and for some users.

        Every fourth follows the season.
        """
        for number in range(self._load.watches):
            kind = number // len(self._load.boards) % 3
            board = self._load.boards[number % len(self._load.boards)]
            period = "season" if number % 4 == 3 else ""  # noqa: PLR2004 - a share
            watcher = Watcher(
                observer=self._observer(f"watch-{number + 1}", board, _TOPS[number % len(_TOPS)], period),
                client=clients[number % len(clients)],
                randomness=self._randomness,
                all_scores=kind == 0,
                period=period,
                user_ids=tuple(self._randomness.sample(users, min(len(users), 50))) if kind == 1 else (),
                stay_seconds=self._load.stay_seconds if (number + kind) % 2 else None,
            )
            self._watchers.append(watcher)

    def subscribe(self, clients: Sequence[ScoreClient]) -> None:
        """Have subscribers read the feeds of all boards."""
        for number in range(self._load.subscribers):
            subscriber = Subscriber(
                name=f"subscriber-{number + 1}",
                board_id=self._load.boards[number % len(self._load.boards)],
                client=clients[number % len(clients)],
                history=self._history,
                randomness=self._randomness,
                stay_seconds=self._load.stay_seconds,
            )
            self._subscribers.append(subscriber)

    def follow(self, gateway: GatewayClient, players: Sequence[Player]) -> None:
        """Have players follow the gateway's board."""
        names = [f"socket-{number + 1}" for number in range(self._load.sockets)]
        names += [f"events-{number + 1}" for number in range(self._load.event_streams)]
        for name, player in zip(names, cycle(players), strict=False):
            kind = SocketFollower if name.startswith("socket") else EventFollower
            observer = self._observer(name, GATEWAY_BOARD)
            self._followers.append(kind(observer, player.account, gateway, self._randomness))

    def all(self) -> list[Watcher | Follower | Subscriber]:
        """List everything that has to run."""
        return [*self._observing(), *self._subscribers]

    def _observing(self) -> list[Watcher | Follower]:
        return [*self._watchers, *self._followers]

    def remain(self) -> None:
        """Have no watcher leave any more, and no subscriber begin anew."""
        for watcher in self._watchers:
            watcher.remain()
        for subscriber in self._subscribers:
            subscriber.remain()

    async def settle(self, client: ScoreClient, positions: Mapping[str, str], within: float) -> list[str]:
        """Wait until every stream of these boards shows its head, and name those that do not in time.

        A season goes on to the next one, so those that follow it are left to the checker.
        """
        heads: dict[str, Head] = {}
        observers = [
            one.observer
            for one in self._observing()
            if one.observer.board_id in positions and not one.observer.period
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._behind(observers, heads) or self._unread(positions):
                    for board_id in positions.keys() - heads.keys():
                        if head := await self._read(client, board_id, positions[board_id]):
                            heads[board_id] = head
                    await asyncio.sleep(_LOOK_SECONDS)
        return self._behind(observers, heads) + self._unread(positions)

    def _unread(self, positions: Mapping[str, str]) -> list[str]:
        """Name the subscribers who have not got the last entry of these boards."""
        return [
            one.name
            for one in self._subscribers
            if one.board_id in positions and one.position != positions[one.board_id]
        ]

    def _behind(self, observers: Sequence[Observer], heads: Mapping[str, Head]) -> list[str]:
        return [one.name for one in observers if not (head := heads.get(one.board_id)) or not one.shows(head)]

    async def _read(self, client: ScoreClient, board_id: str, position: str) -> Head | None:
        """Read a board; None if it is not at its head, or cannot be read."""
        observers = [one.observer for one in self._observing() if one.observer.board_id == board_id]
        users = sorted({user for one in observers for user in one.totals})
        try:
            top = await client.list_standings(board_id=board_id, page_size=_TOP_MAX)
            views = [
                await client.batch_get_standings(
                    board_id=board_id, user_ids=users[first : first + _USERS_MAX]
                )
                for first in range(0, len(users), _USERS_MAX)
            ]
        except (BoardNotFoundError, *NO_ANSWER):
            return None
        if any(view.position != position for view in (top, *views)):
            return None
        totals = {one.user_id: one.total for view in views for one in view.standings}
        return Head(position, rows_of_standings(top.standings), totals)

    def _observer(self, name: str, board_id: str, top_n: int = 10, period: str = "") -> Observer:
        return Observer(name=name, board_id=board_id, history=self._history, top_n=top_n, period=period)
