"""The leaderboard as it is now: one upstream watch a board and process, and everyone who follows it.

However many clients follow, the score service serves one watch, and a short one for each client that comes
back with a position, to learn what it missed. The feed folds the events into one `Board` and tells its
audience. It changes the board only between two awaits, so a subscription always sees a state that holds at
one revision. It never waits for a client.

A board without awards does not exist yet: that is an empty leaderboard. While the score service is
unavailable the board stays as it was last seen, and `problem` says so.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from typing import Protocol, Self

import structlog

from action_gateway.domain.entries import name_entries
from action_gateway.domain.messages import Top
from action_gateway.errors import UnavailableError
from action_gateway.leaderboard.audience import Audience
from action_gateway.leaderboard.subscription import Board, News, Subscription
from score_client.errors import BoardNotFoundError, InvalidRequestError, ScoreClientError
from score_client.types import Checkpoint, Snapshot, Standing, StandingsView, Update

_ABSENT_SECONDS = 0.5
_BACKOFF_SECONDS = (0.5, 30.0)
_OPEN_SECONDS = 5.0
_SILENCE_SECONDS = 60.0
_USERS_A_CALL = 1000
_RECALLS_AT_ONCE = 64
_CANCEL_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class LeaderboardSource(Protocol):
    """What the feed needs of `ScoreClient`."""

    def watch(
        self,
        *,
        board_id: str,
        top_n: int,
        after_position: str | None = None,
        all_scores: bool = False,
        user_ids: Iterable[str] = (),
    ) -> AsyncGenerator[Snapshot | Update | Checkpoint, None]:
        """Follow a board."""

    async def batch_get_standings(
        self, *, board_id: str, user_ids: Sequence[str], min_revision: int | None = None
    ) -> StandingsView:
        """Read the standings of up to 1000 users."""


class NameSource(Protocol):
    """What the feed needs of `Usernames`."""

    async def names_of(self, user_ids: Iterable[str]) -> Mapping[str, str | None]:
        """Return the names of users, None for unknown ones. Never fails."""


class Feed:
    """The state of one board and the subscriptions to it. An async context manager: inside, it follows."""

    def __init__(
        self,
        source: LeaderboardSource,
        usernames: NameSource,
        board_id: str,
        *,
        top_n: int = 10,
        interval: float = 0.1,
        randomness: random.Random | None = None,
    ) -> None:
        """Take how many rows to show, and the least seconds between two updates."""
        self.board = Board()
        self.audience = Audience(self.board, interval)
        self._source = source
        self._usernames = usernames
        self._board_id = board_id
        self._top_n = top_n
        self._randomness = randomness or random.Random()  # noqa: S311 - it spreads retries, no secret
        self._newest_top = self.board.top
        """What is shown next, as far as it is known."""
        self._problem: str | None = "the leaderboard was not read yet"
        self._heard_at = float("-inf")
        self._failures = 0
        self._known = asyncio.Event()
        self._moved = asyncio.Event()
        self._recalls = asyncio.Semaphore(_RECALLS_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="leaderboard feed")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.audience.close()
        while self._task is not None and not self._task.done():
            self._task.cancel()
            # A library may lose a cancellation, so one that goes on is cancelled again.
            await asyncio.wait([self._task], timeout=_CANCEL_SECONDS)

    @property
    def problem(self) -> str | None:
        """What keeps the board from being up to date, as far as is known; None where nothing does."""
        if self._problem is None and asyncio.get_running_loop().time() > self._heard_at + _SILENCE_SECONDS:
            return "nothing was heard of the leaderboard for a while"
        return self._problem

    def subscribe(
        self, user_id: str, after_position: str | None = None
    ) -> AbstractContextManager[Subscription]:
        """Keep a subscription for this user; `open` it next, and `recall` it if it comes back."""
        return self.audience.hold(user_id, after_position)

    async def open(self, subscription: Subscription) -> News:
        """Return the first message: where things stand. Its news follow without gap and without repetition.

        Raises `UnavailableError` or a `ScoreClientError` where that cannot be told.
        """
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._known.wait()
                return subscription.begin(await self._read_own(subscription.user_id))
        except TimeoutError as error:
            raise UnavailableError from error

    async def recall(self, subscription: Subscription) -> None:
        """Report a subscription that comes back whether its user scored in the meantime.

        A position that cannot be resumed is like none.
        """
        if subscription.after_position is None:
            return
        async with self._recalls:
            with suppress(InvalidRequestError, BoardNotFoundError):
                await self._find_missed(subscription, subscription.after_position)
        subscription.settle()

    async def _read_own(self, user_id: str) -> Standing:
        """Read a user's standing, and wait until the board has got as far."""
        while True:
            history = self.board.history
            standings, revision = await self._standings([user_id], self.board.revision)
            while history == self.board.history:
                if revision <= self.board.revision:
                    return standings[user_id]
                await self._moved.wait()

    async def _find_missed(self, subscription: Subscription, after_position: str) -> None:
        now = self.board.revision
        events = self._source.watch(
            board_id=self._board_id,
            top_n=1,
            after_position=after_position,
            user_ids=[subscription.user_id],
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Snapshot) and event.reset:
                    return
                for standing in event.scores if isinstance(event, Update) else ():
                    subscription.miss(standing)
                # What was missed comes after the snapshot, unless there is no room for it.
                complete = not isinstance(event, Snapshot) or event.position == after_position
                if complete and event.revision >= now:
                    return

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
                pause = self._backoff("the watch of the leaderboard ended")
            except BoardNotFoundError:
                self._show_absent()
                pause = _ABSENT_SECONDS
            except ScoreClientError as error:
                pause = self._backoff(f"the leaderboard cannot be watched: {error.reason}")
            except Exception:  # noqa: BLE001 - a fault in one event must not end the leaderboard for all
                _log.exception("feed_failed", board_id=self._board_id)
                pause = self._backoff("the leaderboard cannot be followed")
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        events = self._source.watch(
            board_id=self._board_id,
            top_n=self._top_n,
            after_position=self.board.position,
            all_scores=True,
        )
        async with aclosing(events):
            async for event in events:
                await self._fold(event)
                self._hear()

    def _hear(self) -> None:
        self._problem = None
        self._heard_at = asyncio.get_running_loop().time()
        self._failures = 0
        self._known.set()

    def _backoff(self, problem: str) -> float:
        least, most = _BACKOFF_SECONDS
        pause = min(most, least * 2.0**self._failures) * self._randomness.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 16)
        self._problem = problem
        _log.warning("feed_interrupted", board_id=self._board_id, problem=problem, retry_after=pause)
        return pause

    def _show_absent(self) -> None:
        if self.board.position is not None:
            self._start_over({user_id: _nothing(user_id) for user_id in self.audience.user_ids}, 0)
            self._newest_top = Top()
            self._show(self._newest_top, 0, None)
        self._hear()

    async def _fold(self, event: Snapshot | Update | Checkpoint) -> None:
        if not isinstance(event, Checkpoint) and event.top is not None:
            self._newest_top = await self._name(event.top)
        if isinstance(event, Snapshot):
            if not event.reset and self.board.position is not None:
                return  # The scores up to it come next. Without them, nothing would hold at its revision.
            self._start_over(await self._everyone(event.revision), event.revision)
        if isinstance(event, Update):
            self.audience.offer(event.scores)
        self._show(self._newest_top, event.revision, event.position)

    async def _name(self, standings: Sequence[Standing]) -> Top:
        names = await self._usernames.names_of(standing.user_id for standing in standings)
        entries = name_entries(standings, names)
        return self.board.top if entries == self.board.top.entries else Top(entries)

    async def _everyone(self, min_revision: int) -> dict[str, Standing]:
        """Read the standings of all who subscribe, also of those who come while this reads."""
        known: dict[str, Standing] = {}
        while missing := list(self.audience.user_ids - known.keys())[:_USERS_A_CALL]:
            standings, _ = await self._standings(missing, min_revision)
            known |= standings
        return known

    async def _standings(self, user_ids: Sequence[str], min_revision: int) -> tuple[dict[str, Standing], int]:
        """Read standings, zero for users without one, and the revision they hold at."""
        standings = {user_id: _nothing(user_id) for user_id in user_ids}
        try:
            view = await self._source.batch_get_standings(
                board_id=self._board_id, user_ids=user_ids, min_revision=min_revision
            )
        except BoardNotFoundError:
            return standings, 0
        return standings | {standing.user_id: standing for standing in view.standings}, view.revision

    def _start_over(self, standings: Mapping[str, Standing], revision: int) -> None:
        self.board.history += 1
        self.audience.replace(standings, revision)

    def _show(self, top: Top, revision: int, position: str | None) -> None:
        if top is not self.board.top:
            self.audience.call_all()
        self.board.top, self.board.revision, self.board.position = top, revision, position
        self._moved.set()
        self._moved = asyncio.Event()
        self.audience.tell()


def _nothing(user_id: str) -> Standing:
    return Standing(user_id=user_id, total=0, rank=None, reached_revision=0)
