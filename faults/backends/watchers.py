"""Watchers: they follow boards through the client library, and some of them leave and resume."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from faults.load.observer import Observer
from faults.load.rows import rows_of_standings
from faults.model.history import Message
from score_client import (
    BoardNotFoundError,
    Checkpoint,
    NotAuthenticatedError,
    PeriodUnknownError,
    ScoreClient,
    Snapshot,
    Update,
    WatchEvent,
)

_PAUSE = 0.5
_OLD = 0.2
"""How likely it is that one that comes back does so."""


@dataclass(slots=True)
class Watcher:
    """One watcher.

    A watcher that reconnects resumes from the last position that was vouched for: not from that of the
    snapshot of a watch that was resumed, because what changed before it comes after it. Now and then one
    resumes from a position of long ago.
    """

    observer: Observer
    client: ScoreClient = field(repr=False)
    randomness: random.Random = field(repr=False)
    all_scores: bool = False
    user_ids: tuple[str, ...] = ()
    period: str = ""
    """Which standings it follows: empty for those of all time."""
    stay_seconds: float | None = None
    """How long it stays, on average; None if it does not leave."""
    _vouched: str | None = None
    _oldest: str | None = None
    """The first that was vouched for, or the one it came back with last."""
    _after: str | None = None
    """Where it asked to go on, of its own accord."""
    _stay: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Follow the board until cancelled."""
        while True:
            self.observer.connection += 1
            reason = await self._follow()
            self.observer.close(time.monotonic(), reason)
            await asyncio.sleep(self.randomness.random() * _PAUSE)

    def remain(self) -> None:
        """Leave no more."""
        self.stay_seconds = None
        if self._stay and not self._stay.expired():  # One that has expired is on its way out.
            self._stay.reschedule(None)

    async def _follow(self) -> str:
        """Watch until the end of it, and return why it ended."""
        self._after = self._vouched
        if self._vouched is not None and self.randomness.random() > 1 - _OLD:
            self._after, self._oldest = self._oldest, self._vouched
        stay = self.stay_seconds and self.randomness.expovariate(1 / self.stay_seconds)
        first = True
        try:
            async with asyncio.timeout(stay) as self._stay, aclosing(self._watch()) as events:
                async for event in events:
                    self._take(event, first=first)
                    first = False
        except TimeoutError:
            return "left"
        except (BoardNotFoundError, NotAuthenticatedError, PeriodUnknownError) as error:
            return error.reason
        finally:
            self._stay = None
        return "ended"

    def _watch(self) -> AsyncGenerator[WatchEvent, None]:
        return self.client.watch(
            board_id=self.observer.board_id,
            top_n=self.observer.top_n,
            after_position=self._after,
            all_scores=self.all_scores,
            user_ids=self.user_ids,
            period=self.period,
        )

    def _take(self, event: WatchEvent, *, first: bool) -> None:
        if isinstance(event, Snapshot) and not first and not event.reset:
            # The client library has reconnected, which only this shows.
            self.observer.connection += 1
        self.observer.take(self._message(event, self._after if first else None))
        resumed = isinstance(event, Snapshot) and not event.reset and self._vouched is not None
        if not resumed:
            self._vouched = event.position
            self._oldest = self._oldest or event.position

    def _message(self, event: WatchEvent, after: str | None) -> Message:
        top = None if isinstance(event, Checkpoint) else event.top
        return Message(
            stream=self.observer.name,
            connection=self.observer.connection,
            board_id=self.observer.board_id,
            at=time.monotonic(),
            event=type(event).__name__.lower(),
            revision=event.revision,
            position=event.position,
            top=None if top is None else rows_of_standings(top),
            scores=rows_of_standings(event.scores) if isinstance(event, Update) else (),
            reset=isinstance(event, Snapshot) and event.reset,
            after=after,
            top_n=self.observer.top_n,
            all_scores=self.all_scores,
            user_ids=self.user_ids,
            period=event.period.period_id if isinstance(event, Snapshot) and event.period else "",
        )
