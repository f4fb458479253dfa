"""Everyone who follows a board, and how often they are told.

Subscriptions are woken together, at most once an interval, and only those with news: so no client gets more
updates than that, and however many follow there is one timer. Nothing here waits for a client.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from action_gateway.errors import GatewayError
from action_gateway.leaderboard.subscription import Board, Subscription
from score_client.types import Standing


class Audience:
    """The subscriptions to one board."""

    def __init__(self, board: Board, interval: float) -> None:
        """Take the least seconds between two updates."""
        self._board = board
        self._interval = interval
        self._by_user: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._with_news: set[Subscription] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._woken_at = float("-inf")

    @property
    def user_ids(self) -> Collection[str]:
        """The users who follow."""
        return self._by_user.keys()

    @contextmanager
    def hold(self, user_id: str, after_position: str | None) -> Iterator[Subscription]:
        """Keep a subscription inside the block."""
        subscription = Subscription(user_id, self._board, after_position)
        self._by_user[user_id].add(subscription)
        try:
            yield subscription
        finally:
            self._with_news.discard(subscription)
            self._by_user[user_id].discard(subscription)
            if not self._by_user[user_id]:
                del self._by_user[user_id]

    def offer(self, standings: Iterable[Standing], revision: int) -> None:
        """Hand out standings at a revision, which continue the history known, each to its own user."""
        for standing in standings:
            for subscription in self._by_user.get(standing.user_id, ()):
                if subscription.offer(standing, revision):
                    self._with_news.add(subscription)

    def replace(self, standings: Mapping[str, Standing], revision: int) -> None:
        """Hand out the standings of all who follow, in a history that does not continue the one known.

        Those reached after this revision of the board are not: they come again as the board gets there.
        """
        for user_id, subscriptions in self._by_user.items():
            standing = standings[user_id]
            for subscription in subscriptions:
                subscription.replace(standing if standing.reached_revision <= revision else None, revision)
                self._with_news.add(subscription)

    def end(self, error: GatewayError) -> None:
        """Let the news of all who follow end with an error."""
        for subscriptions in self._by_user.values():
            for subscription in subscriptions:
                subscription.end(error)

    def call_all(self) -> None:
        """Note that there is news for everyone."""
        self._with_news.update(*self._by_user.values())

    def tell(self) -> None:
        """Wake those with news as soon as the interval allows."""
        if self._with_news and self._timer is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time(), self._woken_at + self._interval)
            self._timer = loop.call_at(due, self._wake)

    def close(self) -> None:
        """Wake no subscription any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        self._timer = None
        self._woken_at = asyncio.get_running_loop().time()
        for subscription in self._with_news:
            subscription.wake()
        self._with_news.clear()
