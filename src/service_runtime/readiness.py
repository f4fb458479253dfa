"""Whether a process can serve: its parts are checked in the background, so that asking costs nothing.

Invariants:
- One part is required always; the others only for the first time, if the service says so, or never. What is
  unavailable is reported all the same.
- Once the process is stopping, it is never ready again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

import structlog
from prometheus_client import Gauge

from service_runtime.telemetry.logs import error_fields

Check = Callable[[], Awaitable[str | None]]
"""Checks a part. Returns what is wrong with it, or None."""

UNAVAILABLE: Final = "is unavailable"
_CHECK_SECONDS: Final = 3.0

_log = structlog.get_logger(__name__)


class Readiness:
    """What is wrong with each part, as of the last check."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        gauge: Gauge,
        *,
        required: str,
        all_at_start: bool = False,
        unavailable: tuple[type[Exception], ...] = (),
        publish: Callable[["Readiness"], Awaitable[None]] | None = None,
    ) -> None:
        """Take what to check.

        Args:
            checks: by the name of the part.
            gauge: set to 1 while ready, else to 0.
            required: the part without which the process is never ready.
            all_at_start: whether all parts must have been available at once before it is ready for the first
                time.
            unavailable: exceptions of a check that mean that the part is unavailable. Any other is logged
                whole.
            publish: called whenever readiness may have changed, and at the stop.
        """
        self.missing: Mapping[str, str] = dict.fromkeys(checks, "was not checked yet")
        """What is wrong, by part; without those that are as they should be."""
        self._checks = checks
        self._gauge = gauge
        self._required = required
        self._has_started = not all_at_start
        self._unavailable: tuple[type[Exception], ...] = (TimeoutError, OSError, *unavailable)
        self._publish = publish
        self.is_stopping = False
        """Whether the process is about to end."""

    @property
    def is_ready(self) -> bool:
        """Whether clients should come here."""
        return not self.is_stopping and self._has_started and self._required not in self.missing

    def has(self, part: str) -> bool:
        """Whether a part was available at the last check."""
        return part not in self.missing

    @asynccontextmanager
    async def running(self, interval: float, interval_at_start: float | None = None) -> AsyncIterator[Self]:
        """Check every so many seconds; as long as it was never ready, at another interval if one is given."""
        await self._announce()
        loop = asyncio.create_task(self._run(interval, interval_at_start or interval), name="readiness")
        try:
            yield self
        finally:
            self.is_stopping = True  # The loop ends by it also where a library has lost the cancellation.
            loop.cancel()
            await asyncio.wait([loop])

    async def stop(self) -> None:
        """Be not ready from now on."""
        self.is_stopping = True
        await self._change({"process": "is stopping"})

    async def check(self) -> None:
        """Run every check, and publish what changed."""
        found = await asyncio.gather(*(self._check(part) for part in self._checks))
        if self.is_stopping:
            return
        missing = {part: fault for part, fault in zip(self._checks, found, strict=True) if fault}
        self._has_started = self._has_started or not missing
        if missing != self.missing:
            await self._change(missing)

    async def _change(self, missing: Mapping[str, str]) -> None:
        self.missing = missing
        log = _log.warning if missing else _log.info
        log("readiness_changed", ready=self.is_ready, missing=dict(missing))
        await self._announce()

    async def _announce(self) -> None:
        self._gauge.set(self.is_ready)
        if self._publish:
            await self._publish(self)

    async def _run(self, interval: float, interval_at_start: float) -> None:
        was_ready = False
        while not self.is_stopping:
            await self.check()
            was_ready = was_ready or self.is_ready
            await asyncio.sleep(interval if was_ready else interval_at_start)

    async def _check(self, part: str) -> str | None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await self._checks[part]()
        except self._unavailable as error:
            if self.missing.get(part) != UNAVAILABLE:  # Once is enough.
                _log.warning("check_failed", part=part, **error_fields(error))
            return UNAVAILABLE
        except Exception:  # noqa: BLE001 - Logged whole; what cannot be checked does not count as available.
            _log.exception("check_failed", part=part)
            return "cannot be checked"
