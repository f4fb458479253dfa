"""What there is to suspect of users, gathered here and written every few seconds, one row a user and signal.

A flood of suspicious requests so becomes one statement. What is gathered is bounded: beyond that, suspicions
of more users are counted by the metrics alone.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from action_gateway.domain.clock import Clock
from action_gateway.errors import UnavailableError
from action_gateway.store.suspicions import Noted
from service_runtime.lifecycle import end_tasks

_GATHERED_MAX: Final = 5_000
_PAUSE_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


class SuspicionSink(Protocol):
    """What is needed of `SuspicionRows`."""

    async def add(self, noted: list[Noted]) -> None:
        """Add what was noted of users. Raises UnavailableError."""


class SuspicionLog:
    """Gathers suspicions."""

    def __init__(self, sink: SuspicionSink, clock: Clock, *, limit: int = _GATHERED_MAX) -> None:
        """Take how many users and signals to gather before they are written."""
        self._sink = sink
        self._clock = clock
        self._limit = limit
        self._gathered: dict[tuple[str, str], Noted] = {}

    def note(self, user_id: str, signal: str) -> None:
        """Note that there is something to suspect of a user."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._gather(Noted(user_id, signal, now, now, 1))

    async def write(self) -> None:
        """Write what was gathered. What cannot be written now is kept. Raises UnavailableError."""
        gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        try:
            await self._sink.add(list(gathered.values()))
        except UnavailableError:
            for noted in gathered.values():
                self._gather(noted)
            raise

    @asynccontextmanager
    async def running(self, pause_seconds: float = _PAUSE_SECONDS) -> AsyncIterator[None]:
        """Write every few seconds inside the block, and once more at its end."""
        task = asyncio.create_task(self._run(pause_seconds), name="suspicions")
        try:
            yield
        finally:
            await end_tasks(task)
            await self._try_to_write()

    async def _run(self, pause_seconds: float) -> None:
        while True:
            await self._try_to_write()
            await asyncio.sleep(pause_seconds)

    async def _try_to_write(self) -> None:
        try:
            await self.write()
        except UnavailableError:
            _log.debug("suspicions_kept", count=len(self._gathered))
        except Exception:  # noqa: BLE001 - what cannot be written now must not end the writing
            _log.exception("suspicions_lost")

    def _gather(self, noted: Noted) -> None:
        key = noted.user_id, noted.signal
        known = self._gathered.get(key)
        if known is not None:
            self._gathered[key] = replace(
                known,
                first_at=min(known.first_at, noted.first_at),
                last_at=max(known.last_at, noted.last_at),
                count=known.count + noted.count,
            )
        elif len(self._gathered) < self._limit:
            self._gathered[key] = noted
