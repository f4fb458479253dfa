"""Looks for periods that are due, again and again, and has them made final.

Every process does so, in an order of its own. What one of them has begun the others may finish.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, MutableSequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Self

import structlog

from score_service.closing.closer import Closer
from score_service.errors import BoardNotFoundError, RecordUnavailableError
from score_service.record.periods import DuePeriod, PeriodStore
from service_runtime.lifecycle import running_loop
from service_runtime.telemetry.logs import error_fields

_AT_ONCE: Final = 2
"""Periods that a process makes final at a time: a large one must not hold up all others."""
_LOOK_MAX: Final = 200
"""Due periods that are looked at in a round."""
_COUNT_SECONDS: Final = 15.0

_log = structlog.get_logger(__name__)


class ClosingLoop:
    """Makes periods of all boards final."""

    def __init__(
        self,
        periods: PeriodStore,
        closer: Closer,
        *,
        shuffle: Callable[[MutableSequence[DuePeriod]], None],
    ) -> None:
        """Take what puts due periods into an order that differs between processes."""
        self._periods = periods
        self._closer = closer
        self._shuffle = shuffle
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._counted_at = -math.inf
        self.due_seconds = math.nan
        """For how long the first of the due periods has been so; 0 where none is, NaN where unknown."""
        self.unfinished = math.nan
        """Periods of all boards that are not final; NaN where unknown."""

    @asynccontextmanager
    async def running(self, interval: float) -> AsyncIterator[Self]:
        """Make a round every `interval` seconds."""
        try:
            async with running_loop(partial(self._run, interval), "closing"):
                yield self
        finally:
            for task in self._under_way.values():
                task.cancel()
            await self.settle()

    async def _run(self, interval: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.make_round()
            except RecordUnavailableError:
                self.due_seconds, self.unfinished = math.nan, math.nan
                self._counted_at = -math.inf
            except Exception:  # noqa: BLE001 - Logged whole; the loop must not end.
                _log.exception("closing_failed")
            await asyncio.sleep(interval)

    async def make_round(self) -> None:
        """Look at what is due, and begin as much of it as may be under way.

        Raises:
            RecordUnavailableError: PostgreSQL is unavailable.
        """
        due = await self._periods.list_due(_LOOK_MAX)
        self.due_seconds = max((one.due_seconds for one in due if not one.stored.is_final), default=0.0)
        await self._count()
        self._shuffle(due)
        for one in due:
            if len(self._under_way) >= _AT_ONCE:
                return
            key = one.board_id, one.stored.period.period_id
            if key not in self._under_way:
                self._under_way[key] = asyncio.create_task(self._finish(one), name="closer")

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._counted_at >= _COUNT_SECONDS:
            try:
                self.unfinished = await self._periods.count_unfinished()
            except RecordUnavailableError:  # Of several nodes another one may have what is due.
                self.unfinished = math.nan
                return
            self._counted_at = now

    async def _finish(self, due: DuePeriod) -> None:
        """Finish a period; a later round takes what fails."""
        board_id, period_id = due.board_id, due.stored.period.period_id
        try:
            await self._closer.finish(board_id, due.stored)
        except (BoardNotFoundError, RecordUnavailableError) as error:
            _log.warning("closing_interrupted", board_id=board_id, period_id=period_id, **error_fields(error))
        except Exception:  # noqa: BLE001 - Logged whole; one period must not keep the others from it.
            _log.exception("closing_failed", board_id=board_id, period_id=period_id)
        finally:
            del self._under_way[board_id, period_id]
