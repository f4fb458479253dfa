"""What one watcher has yet to be sent: the newest state wins. No I/O.

Invariants:
- A watcher holds one top and one standing a user, however many frames it is offered, so a slow one costs
  memory by users, not by events; past a bound it is told to start anew.
- Positions never step back, except by a snapshot marked `reset`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from score_service.errors import ScoreServiceError
from score_service.position import Position
from score_service.standing import Source, Standing
from score_service.watch import Checkpoint, Snapshot, Update, WatchMessage, WatchRequest

PENDING_MAX: Final = 10_000
"""Users with unsent changes, of one watcher or one hub, at most."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a board became since the frame before. All of it holds at one position."""

    position: Position
    top: tuple[Standing, ...]
    """The first `MAX_TOP` of the board."""
    scores: Mapping[str, Standing]
    """The standings that changed, by user."""
    reset: bool = False
    """The history before this frame is another one, or what changed is not known."""


class Watcher:
    """The unsent part of one watch."""

    def __init__(self, request: WatchRequest, frame: Frame) -> None:
        """Begin at a frame, whose top counts as sent."""
        self.request = request
        self.position = frame.position
        self.top = frame.top[: request.top_n]
        self._sent_top = self.top
        self._scores: dict[str, Standing] = {}
        self._reset = False
        self._failure: ScoreServiceError | None = None
        self._ready = asyncio.Event()

    def offer(self, frame: Frame) -> None:
        """Take in a frame; one that is not newer is passed over."""
        if frame.reset:
            self._start_anew()
        elif frame.position.revision <= self.position.revision:
            return
        self.position = frame.position
        self.top = frame.top[: self.request.top_n]
        if not self._reset:
            self._scores.update(self._wanted(frame.scores))
        if len(self._scores) > PENDING_MAX:
            self._start_anew()
        if self._reset or self._scores or self.top != self._sent_top:
            self._ready.set()

    def end(self, failure: ScoreServiceError) -> None:
        """Have the watch fail at its next message."""
        self._failure = failure
        self._ready.set()

    async def wait(self, seconds: float) -> WatchMessage:
        """Give the next message as soon as there is one, or a checkpoint after some time.

        Raises:
            ScoreServiceError: what `end` was called with.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        except TimeoutError:
            return WatchMessage(Checkpoint(), self.position, Source.CACHE)
        if self._failure is not None:
            raise self._failure
        return self._take()

    def _take(self) -> WatchMessage:
        top_changed = self.top != self._sent_top
        body: Snapshot | Update | Checkpoint
        if self._reset:
            body = Snapshot(self.top, reset=True)
        elif top_changed or self._scores:
            body = Update(self.top if top_changed else None, tuple(self._scores.values()))
        else:
            body = Checkpoint()  # The top has changed, and changed back.
        self._ready.clear()
        self._reset = False
        self._scores = {}
        self._sent_top = self.top
        return WatchMessage(body, self.position, Source.CACHE)

    def _start_anew(self) -> None:
        self._reset = True
        self._scores = {}

    def _wanted(self, scores: Mapping[str, Standing]) -> Mapping[str, Standing]:
        if self.request.all_scores:
            return scores
        return {user_id: scores[user_id] for user_id in self.request.user_ids & scores.keys()}
