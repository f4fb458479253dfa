"""The stream of one board, of all time or of a choice of its periods, for all who watch it in this process.

A hub makes a frame whenever a hint says that the board has moved, when the current period ends, and from time
to time without either. It never waits for a watcher.
"""

import asyncio
from contextvars import Context
from dataclasses import dataclass
from typing import Final

import structlog

from score_service.domain.board.period import PeriodChoice
from score_service.domain.standings.hint import Hint
from score_service.errors import (
    BoardNotFoundError,
    PeriodUnknownError,
    ProjectionUnavailableError,
    ScoreServiceError,
)
from score_service.stream.feeds import Feeds
from score_service.stream.frame import Frame
from score_service.stream.frames import Frames
from score_service.stream.watcher import Watcher
from service_runtime.telemetry.logs import error_fields

_OFFERED_AT_ONCE: Final = 50
"""Watchers that are offered a frame before the process does other work: to write to one takes 0.1 ms."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How often things are sent, and how many watchers there may be."""

    tick_seconds: float = 0.025
    """Between two updates of a watch, at least."""
    poll_seconds: float = 1.0
    """Between two looks at the board where no hint comes, at most."""
    checkpoint_seconds: float = 15.0
    """Between two messages of a watch, at most."""
    resume_max: int = 10_000
    """Revisions that a watcher may have missed and still be resumed."""
    watchers_max: int = 5_000
    hint_seconds: float = 0.05
    """For which hints are waited for that lead to what was read."""


class Hub:
    """The watchers of one choice of a board, and the task that feeds them."""

    def __init__(
        self, board_id: str, feeds: Feeds, settings: HubSettings, choice: PeriodChoice | None = None
    ) -> None:
        self.watchers: set[Watcher] = set()
        self.claims = 0
        """Watches that need this hub, also those that have not begun."""
        self._board_id = board_id
        self._settings = settings
        self._frames = Frames(board_id, feeds, self._offer, hint_seconds=settings.hint_seconds, choice=choice)
        self._wanted = 0
        """The revision that someone waits for."""
        self._wake = asyncio.Event()
        self._hinted = False
        """Whether a hint has come since the last look at the board."""
        self._stopped = False

    @property
    def frame(self) -> Frame:
        """The newest frame."""
        return self._frames.newest

    async def begin(self) -> None:
        """Read the first frame.

        Raises:
            BoardNotFoundError: the record does not have the board.
            PeriodUnknownError: the board has no such period, or it has not begun.
            RecordUnavailableError: PostgreSQL was needed, and is unavailable.
        """
        await self._frames.begin(self._settings.poll_seconds)

    def start(self) -> asyncio.Task[None]:
        """Feed the watchers from now on, in a task that `stop` ends."""
        # It serves all watchers, so what it logs belongs to no one call.
        self._task = asyncio.create_task(self._tick(), name="hub", context=Context())
        return self._task

    def stop(self) -> None:
        """End the task. The flag ends its loop also where a library has lost the cancellation."""
        if not self._stopped:  # A second cancellation would interrupt how the first one cleans up.
            self._stopped = True
            self._task.cancel()

    def note(self, hint: Hint) -> None:
        """Take in what was applied to the board."""
        if self._frames.note(hint):
            self._hinted = True
            self._wake.set()

    def wake(self) -> None:
        """Look at the board now: hints may have been lost."""
        self._wake.set()

    async def reach(self, revision: int) -> None:
        """Wait for a frame at a revision of the record, or later.

        Raises:
            ProjectionUnavailableError: it does not come in time.
        """
        try:
            async with asyncio.timeout(2 * self._settings.poll_seconds):
                while self.frame.position.revision < revision:
                    self._wanted = max(self._wanted, revision)
                    self._wake.set()
                    await asyncio.sleep(self._settings.tick_seconds)
        except TimeoutError:
            raise ProjectionUnavailableError from None

    async def refresh(self) -> None:
        """Make the next frame, if the board has moved, and offer it to every watcher.

        Raises:
            ScoreServiceError: there is nothing to make it of at present.
        """
        wanted, self._wanted = self._wanted, 0
        await self._frames.refresh(wanted)

    async def _offer(self, frame: Frame) -> None:
        offered = list(self.watchers)  # Those that begin from now on begin at this frame.
        for first in range(0, len(offered), _OFFERED_AT_ONCE):
            for watcher in offered[first : first + _OFFERED_AT_ONCE]:
                watcher.offer(frame)
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        while not self._stopped:
            await self._wait_for_hint()
            is_hinted, self._hinted = self._hinted, False
            former, began = self.frame, asyncio.get_running_loop().time()
            await self._try_to_refresh()
            if not is_hinted and self.frame is former:
                continue  # Nothing was sent, so what changes next is sent at once.
            # A crowd of watchers takes half of the process at most, and the updates become fewer.
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(self._settings.tick_seconds - took, took))

    async def _wait_for_hint(self) -> None:
        try:
            async with asyncio.timeout(self._longest_wait()):
                await self._wake.wait()
        except TimeoutError:
            pass  # The period has ended, or no hint came for a while: look, in case one was lost.
        self._wake.clear()

    def _longest_wait(self) -> float:
        left, most = self._frames.seconds_left, self._settings.poll_seconds
        return min(left, most) if left is not None and left > 0 else most

    async def _try_to_refresh(self) -> None:
        try:
            await self.refresh()
        except (BoardNotFoundError, PeriodUnknownError) as error:
            self._end_watchers(error)
        except ScoreServiceError as error:
            _log.warning("refresh_interrupted", **error_fields(error))
        except Exception:  # noqa: BLE001 - Logged whole; watchers are fed again at the next tick.
            _log.exception("refresh_failed")

    def _end_watchers(self, error: ScoreServiceError) -> None:
        """End every watch: no season follows, or the record was restored to before the board."""
        for watcher in self.watchers:
            watcher.end(error)
