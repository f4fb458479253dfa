"""Readiness as gRPC health reports it: of the server as a whole, and of each of its services."""

import asyncio
from typing import Final

import structlog
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from score_service.access.policy import SERVICES
from service_runtime.readiness import Readiness

_PUBLISH_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class Health:
    """Publishes readiness to the standard health service."""

    def __init__(self) -> None:
        self.servicer = health_aio.HealthServicer()

    async def publish(self, readiness: Readiness) -> None:
        """Set the status of every service; once stopping, for good."""
        if readiness.is_stopping:
            await self._shut_down()
            return
        status = HealthCheckResponse.SERVING if readiness.is_ready else HealthCheckResponse.NOT_SERVING
        for service in ("", *SERVICES):
            await self.servicer.set(service, status)

    async def _shut_down(self) -> None:
        try:
            # A watcher that does not read its health updates must not hold up the stop.
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await self.servicer.enter_graceful_shutdown()
        except TimeoutError:
            _log.warning("health_watcher_stalled")
