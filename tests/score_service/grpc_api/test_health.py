"""Readiness as gRPC health tells it."""

import asyncio
from typing import Any

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from prometheus_client import CollectorRegistry, Gauge

from score_service.grpc_api.health import Health
from service_runtime.readiness import Readiness

SERVICES = ("", "score_api.v1.ScoreService", "score_api.v1.LeaderboardService")


class Record:
    """The required part, whose fault is set by hand."""

    fault: str | None = None

    async def __call__(self) -> str | None:
        return self.fault


def make(record: Record) -> tuple[Health, Readiness]:
    health, gauge = Health(), Gauge("ready", "Whether ready.", registry=CollectorRegistry())
    return health, Readiness({"record": record}, gauge, required="record", publish=health.publish)


async def statuses(health: Health) -> set[int]:
    context: Any = None
    answers = [
        await health.servicer.Check(HealthCheckRequest(service=service), context) for service in SERVICES
    ]
    return {answer.status for answer in answers}


async def test_every_service_has_the_status_of_the_process() -> None:
    record = Record()
    health, readiness = make(record)
    await readiness.check()
    assert await statuses(health) == {HealthCheckResponse.SERVING}
    record.fault = "is unavailable"
    await readiness.check()
    assert await statuses(health) == {HealthCheckResponse.NOT_SERVING}
    record.fault = None
    await readiness.check()
    assert await statuses(health) == {HealthCheckResponse.SERVING}


async def test_before_the_first_check_no_service_serves() -> None:
    health, readiness = make(Record())
    await health.publish(readiness)
    assert await statuses(health) == {HealthCheckResponse.NOT_SERVING}


async def test_once_stopping_no_service_ever_serves_again() -> None:
    health, readiness = make(Record())
    await readiness.check()
    await readiness.stop()
    await readiness.check()
    assert await statuses(health) == {HealthCheckResponse.NOT_SERVING}


async def test_a_health_watcher_that_does_not_read_does_not_hold_up_the_stop() -> None:
    health, readiness = make(Record())

    class Stalled:
        async def write(self, _message: object) -> None:
            await asyncio.Event().wait()

    context: Any = Stalled()
    watching = asyncio.create_task(health.servicer.Watch(HealthCheckRequest(service=""), context))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await readiness.stop()
    watching.cancel()
