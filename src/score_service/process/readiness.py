"""Whether the service can answer: looked at again and again, told to probes and to gRPC health alike.

Invariants:
- The record alone decides. The projection may be away, also at the start: awards and reads do without it, so
  keeping the server out of balance would turn a missing rank into an outage. What is missing is told.
- Once it is stopping, it is never ready again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

import structlog
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2 import HealthCheckResponse
from prometheus_client import Gauge

from score_service.access.policy import SERVICES
from score_service.errors import ScoreServiceError
from score_service.projection.projection import Projection
from score_service.record.ledger import REQUIRED_SCHEMA, Ledger

Check = Callable[[], Awaitable[str]]
"""Tells what is missing; empty if nothing is."""

NEEDED: Final = "record"
_CHECK_SECONDS: Final = 3.0
_HEALTH_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


def checks_of(ledger: Ledger, projection: Projection) -> Mapping[str, Check]:
    """Make the checks of the two stores."""

    async def check_record() -> str:
        revision = await ledger.read_schema_revision()
        if revision < REQUIRED_SCHEMA:
            return f"the schema is at {revision or 'nothing'}, {REQUIRED_SCHEMA} is needed: run migrate"
        return ""

    async def check_projection() -> str:
        return await projection.check()

    return {NEEDED: check_record, "projection": check_projection}


class Readiness:
    """What is missing, as of the last look."""

    def __init__(self, checks: Mapping[str, Check], gauge: Gauge) -> None:
        self.health = health_aio.HealthServicer()
        self.missing = dict.fromkeys(checks, "not looked at yet")
        self._checks = checks
        self._gauge = gauge
        self._stopping = False

    @property
    def is_ready(self) -> bool:
        """Tell whether callers should come here."""
        return not self._stopping and NEEDED not in self.missing

    def has(self, part: str) -> bool:
        """Tell whether a part was there at the last look."""
        return part not in self.missing

    @asynccontextmanager
    async def running(self, interval: float) -> AsyncIterator[Self]:
        """Look every so many seconds."""
        await self._publish()
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(self._run(interval), name="readiness")
            try:
                yield self
            finally:
                self._stopping = True  # A library may lose the cancellation.
                loop.cancel()

    async def stop(self) -> None:
        """Say from now on that callers should go elsewhere."""
        self._stopping = True
        self.missing["server"] = "is stopping"
        self._gauge.set(0)
        try:
            # A watcher that does not read its health updates must not hold up the stop.
            async with asyncio.timeout(_HEALTH_SECONDS):
                await self.health.enter_graceful_shutdown()
        except TimeoutError:
            _log.warning("health watcher does not read")

    async def look(self) -> None:
        """Run every check, and publish what changed."""
        found = await asyncio.gather(*(self._run_check(check) for check in self._checks.values()))
        missing = {name: said for name, said in zip(self._checks, found, strict=True) if said}
        if self._stopping or missing == self.missing:
            return
        self.missing = missing
        _log.info("readiness changed", ready=self.is_ready, missing=missing)
        await self._publish()

    async def _run(self, interval: float) -> None:
        while not self._stopping:
            await self.look()
            await asyncio.sleep(interval)

    async def _run_check(self, check: Check) -> str:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await check()
        except TimeoutError:
            return "does not answer in time"
        except ScoreServiceError:
            return "is away"
        except Exception:  # noqa: BLE001 - Logged whole; what cannot be checked is not there.
            _log.exception("check failed")
            return "cannot be checked"

    async def _publish(self) -> None:
        self._gauge.set(self.is_ready)
        status = HealthCheckResponse.SERVING if self.is_ready else HealthCheckResponse.NOT_SERVING
        for service in ("", *SERVICES):
            await self.health.set(service, status)
