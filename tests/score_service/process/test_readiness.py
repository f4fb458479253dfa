"""Readiness: both stores at the start, the record ever after, and never again once stopping."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2 as httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from prometheus_client import CollectorRegistry, Gauge
from tests.fixtures.postgres import Database, Login
from tests.fixtures.proxy import Proxy
from tests.fixtures.score_service import ScoreService, StartScoreService, award_request
from tests.fixtures.stores import eventually

from score_service.errors import ProjectionUnavailableError, RecordUnavailableError
from score_service.process.readiness import Readiness, checks_of
from score_service.projection.projection import Projection
from score_service.record.ledger import Ledger


class Switch:
    """A check whose outcome is set by hand."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.missing = ""

    async def __call__(self) -> str:
        if self.error:
            raise self.error
        return self.missing


@pytest.fixture
def record_switch() -> Switch:
    return Switch()


@pytest.fixture
def projection_switch() -> Switch:
    return Switch()


@pytest.fixture
def gauge() -> Gauge:
    return Gauge("ready", "Whether ready.", registry=CollectorRegistry())


@pytest.fixture
def readiness(record_switch: Switch, projection_switch: Switch, gauge: Gauge) -> Readiness:
    return Readiness({"record": record_switch, "projection": projection_switch}, gauge)


async def health_of(readiness: Readiness, service: str = "") -> int:
    context: Any = None
    answer = await readiness.health.Check(HealthCheckRequest(service=service), context)
    status: int = answer.status
    return status


async def test_nothing_is_ready_before_the_first_look(readiness: Readiness) -> None:
    assert not readiness.is_ready
    assert set(readiness.missing) == {"record", "projection"}


async def test_it_is_ready_when_nothing_is_missing(readiness: Readiness, gauge: Gauge) -> None:
    await readiness.look()
    assert readiness.is_ready
    assert readiness.missing == {}
    assert gauge._value.get() == 1
    for service in ("", "score_api.v1.ScoreService", "score_api.v1.LeaderboardService"):
        assert await health_of(readiness, service) == HealthCheckResponse.SERVING


async def test_it_is_ready_without_the_projection_and_says_so(
    readiness: Readiness, projection_switch: Switch
) -> None:
    projection_switch.error = ProjectionUnavailableError()
    await readiness.look()
    assert readiness.is_ready
    assert readiness.missing == {"projection": "is away"}
    assert await health_of(readiness) == HealthCheckResponse.SERVING


async def test_without_the_record_it_is_never_ready(
    readiness: Readiness, record_switch: Switch, gauge: Gauge
) -> None:
    await readiness.look()
    record_switch.error = RecordUnavailableError()
    await readiness.look()
    assert not readiness.is_ready
    assert gauge._value.get() == 0
    assert await health_of(readiness) == HealthCheckResponse.NOT_SERVING
    record_switch.error = None
    await readiness.look()
    assert await health_of(readiness) == HealthCheckResponse.SERVING


async def test_a_check_that_fails_oddly_counts_as_missing_and_tells_nothing(
    readiness: Readiness, record_switch: Switch
) -> None:
    record_switch.error = RuntimeError("hunter2")
    await readiness.look()
    assert readiness.missing == {"record": "cannot be checked"}


async def test_once_stopping_it_is_never_ready_again(readiness: Readiness) -> None:
    await readiness.look()
    await readiness.stop()
    await readiness.look()
    assert not readiness.is_ready
    assert readiness.missing == {"server": "is stopping"}
    assert await health_of(readiness) == HealthCheckResponse.NOT_SERVING


async def test_a_look_that_loses_its_cancellation_does_not_hold_up_the_end(gauge: Gauge) -> None:
    looking, finish = asyncio.Event(), asyncio.Event()

    async def cling() -> str:
        looking.set()
        try:
            await finish.wait()
        except asyncio.CancelledError:
            await finish.wait()
        return ""

    async with asyncio.timeout(10), Readiness({"record": cling}, gauge).running(0.001):
        await looking.wait()
        asyncio.get_running_loop().call_later(0.05, finish.set)


async def test_a_health_watcher_that_does_not_read_does_not_hold_up_the_stop(readiness: Readiness) -> None:
    class Stalled:
        async def write(self, _message: object) -> None:
            await asyncio.Event().wait()

    context: Any = Stalled()
    watching = asyncio.create_task(readiness.health.Watch(HealthCheckRequest(service=""), context))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await readiness.stop()
    watching.cancel()


async def test_the_checks_find_nothing_missing_on_good_stores(ledger: Ledger, projection: Projection) -> None:
    checks = checks_of(ledger, projection)
    assert [await check() for check in checks.values()] == ["", ""]


async def test_a_schema_that_is_too_old_is_told_with_what_to_do(
    ledger: Ledger, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("score_service.process.readiness.REQUIRED_SCHEMA", "9999")
    said = await checks_of(ledger, projection)["record"]()
    assert said.startswith("the schema is at ")
    assert said.endswith("9999 is needed: run migrate")


@pytest.fixture
async def proxy(free_port: Callable[[], int]) -> AsyncIterator[Proxy]:
    """Return a proxy before nothing, which closes each connection at once."""
    proxy = Proxy(f"127.0.0.1:{free_port()}")
    await proxy.start()
    yield proxy
    await proxy.stop()


async def report(service: ScoreService) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{service.admin_url}/readyz")
    return response.status_code, response.json()


def address_of(url: str) -> str:
    return url.partition("@")[2].partition("/")[0] or url.partition("//")[2].partition("/")[0]


async def test_without_postgresql_at_the_start_it_stays_up_says_so_and_gets_ready_by_itself(
    start_score_service: StartScoreService, proxy: Proxy, database: Database
) -> None:
    url = database.logins["score_runtime"].url
    address = address_of(url)
    service = await start_score_service(
        ready=False, database_dsn=url.replace(address, f"127.0.0.1:{proxy.port}")
    )

    async def is_told() -> bool:
        return await report(service) == (503, {"ready": False, "missing": {"record": "is away"}})

    await eventually(is_told)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{service.admin_url}/livez")).status_code == 200
    proxy.upstream = address
    await eventually(service.is_ready)
    assert await report(service) == (200, {"ready": True, "missing": {}})


async def test_without_redis_at_the_start_it_serves_and_says_so(
    start_score_service: StartScoreService,
    connect: Any,
    backend_certificate: Any,
    proxy: Proxy,
    redis_login: Login,
) -> None:
    address = address_of(redis_login.url)
    service = await start_score_service(redis_url=redis_login.url.replace(address, f"127.0.0.1:{proxy.port}"))
    assert await report(service) == (200, {"ready": True, "missing": {"projection": "is away"}})
    stubs = connect(service, backend_certificate)
    made = (await stubs.score.AwardPoints(award_request())).result
    assert not made.HasField("rank")
    proxy.upstream = address

    async def nothing_is_missing() -> bool:
        return await report(service) == (200, {"ready": True, "missing": {}})

    await eventually(nothing_is_missing)


async def test_awards_go_on_when_redis_goes_away_later(
    start_score_service: StartScoreService,
    connect: Any,
    backend_certificate: Any,
    proxy: Proxy,
    redis_login: Login,
) -> None:
    address = address_of(redis_login.url)
    proxy.upstream = address
    service = await start_score_service(redis_url=redis_login.url.replace(address, f"127.0.0.1:{proxy.port}"))
    stubs = connect(service, backend_certificate)
    assert (await stubs.score.AwardPoints(award_request())).result.rank == 1
    proxy.upstream = "127.0.0.1:1"
    proxy.reset()

    async def is_noticed() -> bool:
        return await report(service) == (200, {"ready": True, "missing": {"projection": "is away"}})

    await eventually(is_noticed)
    parts = ("record", "projection")
    assert [await service.metric("laurel_part_up", part=part) for part in parts] == [1, 0]
    made = (await stubs.score.AwardPoints(award_request())).result
    assert made.total == 20
    assert not made.HasField("rank")
