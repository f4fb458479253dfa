"""All feeds of a process: one for all time, and one for each period that somebody follows now.

The first lasts as long as the process, and tells whether the leaderboard can be read at all. Each of the
others begins with the first who wants it and ends with the last.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from action_gateway.domain.periods import ALL_TIME, is_choice, names_one_period
from action_gateway.errors import PeriodUnknownError, UnavailableError
from action_gateway.leaderboard.feed import Feed

_NAMED_MAX: Final = 32
"""Feeds of periods that are named by their ids. Of the others there are two for each kind at most."""
_RETRY_SECONDS: Final = 10.0


@dataclass(slots=True, eq=False)
class _Held:
    """A feed, and how many follow it."""

    feed: Feed
    holders: int = 0


class Feeds:
    """The feeds of one board. An async context manager: inside, they follow."""

    def __init__(self, make_feed: Callable[[str], Feed], *, named_max: int = _NAMED_MAX) -> None:
        """Take what makes the feed of a period (empty: all time), and how many may be named by an id."""
        self._make_feed = make_feed
        self._named_max = named_max
        self._all_time = make_feed("")
        self._held: dict[str, _Held] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._all_time.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        closing = [held.feed.close() for held in self._held.values()]
        await asyncio.gather(self._all_time.close(), *closing, *self._closing)

    @property
    def problem(self) -> str | None:
        """What keeps the board from being up to date, as far as is known; None where nothing does."""
        return self._all_time.problem

    @property
    def count(self) -> int:
        """How many feeds there are now."""
        return 1 + len(self._held)

    def remove_names(self, user_ids: Collection[str]) -> None:
        """Show users who have left without their names from now on."""
        for feed in (self._all_time, *(held.feed for held in self._held.values())):
            feed.remove_names(user_ids)

    @contextmanager
    def hold(self, period: str) -> Iterator[Feed]:
        """Keep the feed of a period open inside the block.

        Args:
            period: `all_time` or empty, `day` and so on for the current one, `day:previous`, or an id.

        Raises:
            PeriodUnknownError: It is none of these.
            UnavailableError: Too many periods are followed.
        """
        if period in {"", ALL_TIME}:
            yield self._all_time
            return
        held = self._find(period)
        held.holders += 1
        try:
            yield held.feed
        finally:
            held.holders -= 1
            if not held.holders:
                self._close(period, held)

    def _find(self, period: str) -> _Held:
        held = self._held.get(period)
        if held is None or held.feed.is_over:
            held = self._held[period] = self._open(period)
        return held

    def _open(self, period: str) -> _Held:
        if not is_choice(period):
            raise PeriodUnknownError
        if names_one_period(period) and sum(map(names_one_period, self._held)) >= self._named_max:
            raise UnavailableError(_RETRY_SECONDS)
        feed = self._make_feed(period)
        feed.start()
        return _Held(feed)

    def _close(self, period: str, held: _Held) -> None:
        if self._held.get(period) is held:
            del self._held[period]
        # The task that held it last may be about to be cancelled, and must not wait.
        task = asyncio.create_task(held.feed.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
