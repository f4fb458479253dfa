"""What one watcher has yet to be sent: the newest state wins. No I/O.

Invariants:
- A watcher holds one top and one standing a user, however many frames it is offered, so a slow one costs
  memory by users, not by events; past a bound it gets a reset.
- All of a message holds at its position: of a standing from a frame before, the rank is sent only if the
  newest frame has it too.
- Positions never step back, except by a snapshot marked `reset`.
- Where the frames turn over to another period, a snapshot of it comes first. What changed in it follows at
  once for who wants that, or a checkpoint: the snapshot alone does not say whether there is more.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from score_service.domain.standings.standing import Standing
from score_service.domain.standings.watch import Update, WatchMessage, WatchRequest
from score_service.errors import ScoreServiceError
from score_service.stream.frame import Frame

PENDING_MAX: Final = 10_000
"""Users with unsent changes, of one watcher or one hub, at most."""


class Watcher:
    """The unsent part of one watch."""

    def __init__(self, request: WatchRequest, frame: Frame) -> None:
        """Begin at a frame, whose top counts as sent."""
        self.request = request
        self.frame = frame
        """The newest one that was offered."""
        self._sent_top = frame.first(request.top_n)
        self._scores: dict[str, Standing] = {}
        self._newest: Mapping[str, Standing] = {}
        """Those of the newest frame, by which the ranks in earlier ones may not hold any more."""
        self._snapshot = False
        """Whether a snapshot is to be sent, with `reset` if `_reset`."""
        self._reset = False
        self._vouch = False
        """Whether what belongs to the position of a snapshot is yet to be sent."""
        self._failure: ScoreServiceError | None = None
        self._ready = asyncio.Event()

    def offer(self, frame: Frame) -> None:
        """Take in a frame. Of one that is not newer, only which store it is from is taken."""
        if frame.reset or frame.turns_over:
            self._begin_snapshot(reset=frame.reset)
        elif frame.position.revision <= self.frame.position.revision:
            self.frame = frame if frame.position == self.frame.position else self.frame
            return
        self.frame = frame
        if not self._reset:
            self._newest = self._wanted(frame.scores)
            self._scores.update(self._newest)
        if len(self._scores) > PENDING_MAX:
            self._begin_snapshot(reset=True)
        # Where the position alone has moved, as by new settings, a checkpoint says so at once: who reads a
        # standing at that position waits for it.
        if (
            self._snapshot
            or self._scores
            or not frame.scores
            or frame.first(self.request.top_n) != self._sent_top
        ):
            self._ready.set()

    def end(self, failure: ScoreServiceError) -> None:
        """Have the watch fail at its next message."""
        self._failure = failure
        self._ready.set()

    async def wait(self, seconds: float) -> WatchMessage:
        """Return the next message as soon as there is one, or a checkpoint after some time.

        Raises:
            ScoreServiceError: what `end` was called with.
        """
        if not self._ready.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        # A frame may have come just as the time ended: its position must not be sent without its changes.
        return self._take()

    def _take(self) -> WatchMessage:
        if self._snapshot:
            message = self.frame.snapshot(self.request.top_n, reset=self._reset)
            self._vouch = self.request.wants_scores and not self._reset
            self._snapshot = self._reset = False
        else:
            message = self._compose()
            self._vouch = False
            self._scores = {}
        if not self._vouch:
            self._ready.clear()
        self._sent_top = self.frame.first(self.request.top_n)
        return message

    def _compose(self) -> WatchMessage:
        top = self.frame.first(self.request.top_n)
        if self._scores:
            return self.frame.message(Update(top if top != self._sent_top else None, self._compose_scores()))
        if top != self._sent_top:
            return self.frame.update(self.request.top_n)
        return self.frame.checkpoint()  # Nothing came, or the top has changed and changed back.

    def _compose_scores(self) -> tuple[Standing, ...]:
        if self._scores.keys() <= self._newest.keys():
            return tuple(self._scores.values())
        known = {standing.user_id: standing for standing in self.frame.top}
        known.update(self._newest)
        return tuple(
            known.get(user_id) or replace(standing, rank=None) for user_id, standing in self._scores.items()
        )

    def _begin_snapshot(self, *, reset: bool) -> None:
        self._snapshot = True
        self._reset |= reset
        self._scores = {}

    def _wanted(self, scores: Mapping[str, Standing]) -> Mapping[str, Standing]:
        if self.request.all_scores:
            return scores
        return {user_id: scores[user_id] for user_id in self.request.user_ids & scores.keys()}
