"""The leaderboard as it is now, of all time or in a period: one upstream watch, and everyone who follows it.

However many clients follow, the score service serves one watch, and a short one for each client that resumes
from a position, to learn what it missed. The feed folds the events into one `Board` and tells its
audience. It changes the board only between two awaits, so a subscription always sees a state that holds at
one revision. It never waits for a client.

A board without awards does not exist yet: that is an empty leaderboard. While the score service is
unavailable the board stays as it was last seen, and `problem` says so. A watch of a current period goes on
with the next one, and so does the feed. It does not go back to the former one if a server shows that because
its clock is behind: the board stays as it is until the server agrees. A watch of a period that the board does
not have is over.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import replace
from typing import Self

import structlog

from action_gateway.domain.clock import Clock
from action_gateway.domain.entries import remove_names, without_hidden
from action_gateway.domain.messages import Top
from action_gateway.domain.periods import ShownPeriod, is_current, show_period, steps_back
from action_gateway.errors import PeriodUnknownError, UnavailableError
from action_gateway.leaderboard.audience import Audience
from action_gateway.leaderboard.board_reader import BoardReader, no_standing
from action_gateway.leaderboard.subscription import Board, News, Subscription
from score_client.errors import BoardNotFoundError, InvalidRequestError, ScoreClientError
from score_client.errors import PeriodUnknownError as NoSuchPeriodError
from score_client.types import Checkpoint, Snapshot, Standing, Update
from service_runtime.lifecycle import end_tasks

_ABSENT_SECONDS = 0.5
_BACKOFF_SECONDS = (0.5, 30.0)
_OPEN_SECONDS = 5.0
_SILENCE_SECONDS = 60.0
_RECALLS_AT_ONCE = 64

_log = structlog.get_logger(__name__)


class Feed:
    """The state of one board and the subscriptions to it. An async context manager: inside, it follows."""

    def __init__(
        self,
        reader: BoardReader,
        *,
        top_n: int = 10,
        interval: float = 0.1,
        clock: Clock = time.time,
        randomness: random.Random | None = None,
    ) -> None:
        """Take how many rows to show, the least seconds between two updates, and the time."""
        self.board = Board()
        self.audience = Audience(self.board, interval)
        self._reader = reader
        self._top_n = top_n
        self._clock = clock
        self._randomness = randomness or random.Random()  # noqa: S311 - it spreads retries, no secret
        self._newest_top = self.board.top
        """What is shown next, as far as it is known."""
        self._newest_period: ShownPeriod | None = None
        self._problem: str | None = "the leaderboard was not read yet"
        self._received_at = float("-inf")
        self._failures = 0
        self._over = False
        self._known = asyncio.Event()
        self._moved = asyncio.Event()
        self._recalls = asyncio.Semaphore(_RECALLS_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._run(), name="leaderboard feed")

    async def close(self) -> None:
        """Follow no more."""
        self.audience.close()
        if self._task is not None:
            await end_tasks(self._task)

    @property
    def is_over(self) -> bool:
        """Whether there is no such period, or no current one any more. Another feed has to ask again."""
        return self._over

    @property
    def problem(self) -> str | None:
        """What keeps the board from being up to date, as far as is known; None where nothing does."""
        if self._problem is None and asyncio.get_running_loop().time() > self._received_at + _SILENCE_SECONDS:
            return "nothing was received about the leaderboard for a while"
        return self._problem

    def subscribe(
        self, user_id: str, after_position: str | None = None
    ) -> AbstractContextManager[Subscription]:
        """Keep a subscription for this user; `open` it next, and `recall` it if it resumes."""
        return self.audience.hold(user_id, after_position)

    async def open(self, subscription: Subscription) -> News:
        """Return the first message: where things stand. Its news follow without gap and without repetition.

        Raises `PeriodUnknownError` where there is nothing to tell of, and `UnavailableError` or a
        `ScoreClientError` where that cannot be told.
        """
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._known.wait()
                return subscription.begin(*await self._read_own(subscription.user_id))
        except TimeoutError as error:
            raise UnavailableError from error

    def remove_names(self, user_ids: Collection[str]) -> None:
        """Show users who have left without their names from now on."""
        shown, newest = self.board.top, self._newest_top
        self._newest_top = _remove_names(newest, user_ids)
        self.board.top = self._newest_top if shown is newest else _remove_names(shown, user_ids)
        if self.board.top is not shown:
            self.audience.call_all()
            self.audience.tell()

    async def recall(self, subscription: Subscription) -> None:
        """Report to a resuming subscription whether its user scored in the meantime.

        A position that cannot be resumed is like none.
        """
        if subscription.after_position is None:
            return
        async with self._recalls:
            with suppress(InvalidRequestError, BoardNotFoundError, NoSuchPeriodError):
                await self._report_missed(subscription, subscription.after_position)
        subscription.settle()

    async def _read_own(self, user_id: str) -> tuple[Standing, int]:
        """Read a user's standing and its revision, and wait until the board has got as far."""
        while not self._over:
            history = self.board.history
            standings, revision = await self._reader.read_standings(
                [user_id], self.board.revision, _id_of(self.board.period)
            )
            while history == self.board.history:
                if revision <= self.board.revision:
                    return standings[user_id], revision
                await self._moved.wait()
        raise PeriodUnknownError

    async def _report_missed(self, subscription: Subscription, after_position: str) -> None:
        missed = self._reader.read_changes(
            subscription.user_id, after_position=after_position, until_revision=self.board.revision
        )
        async with aclosing(missed):
            async for standing, revision in missed:
                subscription.miss(standing, revision)

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
                pause = self._backoff("the watch of the leaderboard ended")
            except (BoardNotFoundError, NoSuchPeriodError):
                if self._reader.period:
                    self._end()
                    return
                self._show_absent()
                pause = _ABSENT_SECONDS
            except ScoreClientError as error:
                pause = self._backoff(f"the leaderboard cannot be watched: {error.reason}")
            except Exception:  # noqa: BLE001 - a fault in one event must not end the leaderboard for all
                _log.exception("feed_failed", board_id=self._reader.board_id)
                pause = self._backoff("the leaderboard cannot be followed")
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        async with aclosing(self._watch()) as events:
            async for event in events:
                await self._fold(event)
                self._note_received()

    async def _watch(self) -> AsyncGenerator[Snapshot | Update | Checkpoint]:
        """Follow the board, without what is shown of a period that is over."""
        is_over, events = False, self._reader.watch(self._top_n, after_position=self.board.position)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Snapshot):
                    was_over, is_over = is_over, self._is_over_in(event)
                    if not is_over:  # What changed in the current period meanwhile was not sent.
                        yield replace(event, reset=event.reset or was_over)
                elif not is_over:
                    yield event

    def _is_over_in(self, snapshot: Snapshot) -> bool:
        """Return whether a snapshot shows a former period as the current one."""
        found, known = snapshot.period, self.board.period
        if not is_current(self._reader.period) or found is None or known is None:
            return False
        return steps_back(found, known, self._clock())

    def _note_received(self) -> None:
        self._problem = None
        self._received_at = asyncio.get_running_loop().time()
        self._failures = 0
        self._known.set()

    def _backoff(self, problem: str) -> float:
        least, most = _BACKOFF_SECONDS
        pause = min(most, least * 2.0**self._failures) * self._randomness.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 16)
        self._problem = problem
        _log.warning("feed_interrupted", board_id=self._reader.board_id, error=problem, retry_after=pause)
        return pause

    def _end(self) -> None:
        """End all subscriptions: there is nothing to follow."""
        self._over = True
        self.board.history += 1
        self.audience.end(PeriodUnknownError())
        self._known.set()
        self._moved.set()

    def _show_absent(self) -> None:
        if self.board.position is not None:
            self._start_over({user_id: no_standing(user_id) for user_id in self.audience.user_ids}, 0)
            self._newest_top = Top()
            self._show(0, None)
        self._note_received()

    async def _fold(self, event: Snapshot | Update | Checkpoint) -> None:
        if not isinstance(event, Checkpoint) and event.top is not None:
            self._newest_top = await self._name(event.top)
        if isinstance(event, Snapshot):
            self._newest_period = self._find_period(event)
            if self._continues(event):
                return  # The scores up to it come next. Without them, nothing would hold at its revision.
            standings = await self._reader.read_all_standings(
                self.audience.user_ids, event.revision, _id_of(self._newest_period)
            )
            self._start_over(standings, event.revision)
        if isinstance(event, Update):
            self.audience.offer(event.scores, event.revision)
        self._show(event.revision, event.position)

    def _find_period(self, snapshot: Snapshot) -> ShownPeriod | None:
        if snapshot.period is None and self._reader.period:
            raise NoSuchPeriodError("PERIOD_UNKNOWN", "The score service knows no periods.")
        return show_period(snapshot.period)

    def _continues(self, snapshot: Snapshot) -> bool:
        is_known = not snapshot.reset and self.board.position is not None
        return is_known and _id_of(self._newest_period) == _id_of(self.board.period)

    async def _name(self, standings: Sequence[Standing]) -> Top:
        entries = await self._reader.name(without_hidden(standings))
        return self.board.top if entries == self.board.top.entries else Top(entries)

    def _start_over(self, standings: Mapping[str, Standing], revision: int) -> None:
        self.board.history += 1
        self.audience.replace(standings, revision)

    def _show(self, revision: int, position: str | None) -> None:
        top, period = self._newest_top, self._newest_period
        if top is not self.board.top or period != self.board.period:
            self.audience.call_all()
        self.board.top, self.board.revision, self.board.position = top, revision, position
        self.board.period = period
        self._moved.set()
        self._moved = asyncio.Event()
        self.audience.tell()


def _remove_names(top: Top, user_ids: Collection[str]) -> Top:
    entries = remove_names(top.entries, user_ids)
    return top if entries == top.entries else Top(entries)


def _id_of(period: ShownPeriod | None) -> str:
    return "" if period is None else period.id
