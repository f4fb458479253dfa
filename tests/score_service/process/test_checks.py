"""Readiness: both stores at the start, the record ever after, and never again once stopping."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2 as httpx
import pytest
from psycopg.conninfo import make_conninfo
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database, Login
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.score_service import ScoreService, StartScoreService, award_request

from score_service.process.checks import checks_of
from score_service.projection.projection import Projection
from score_service.record import database as pool
from score_service.record.ledger import Ledger
from service_runtime.postgres.pool import PoolSettings


async def test_the_checks_find_nothing_missing_on_good_stores(ledger: Ledger, projection: Projection) -> None:
    checks = checks_of(ledger, projection)
    assert [await check() for check in checks.values()] == [None, None]


async def test_a_schema_that_is_too_old_is_reported_with_what_to_do(
    ledger: Ledger, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("score_service.process.checks.REQUIRED_SCHEMA", "9999")
    said = await checks_of(ledger, projection)["record"]()
    assert said
    assert said.startswith("has an old schema: it is at ")
    assert said.endswith("9999 is needed; run `score-service migrate`")


async def test_a_record_that_accepts_no_writes_is_reported(
    database: Database, ledger: Ledger, projection: Projection
) -> None:
    check = checks_of(ledger, projection)["record"]
    assert await check() is None
    role = make_conninfo(database.score_runtime_dsn, options="-c default_transaction_read_only=on")
    settings = PoolSettings(make_conninfo(role, target_session_attrs="any"))
    async with pool.Database.open(settings) as read_only:
        assert await checks_of(Ledger(read_only), projection)["record"]() == "accepts no writes"


async def test_a_record_that_may_hide_that_a_standby_lacks_an_award_is_reported(
    database: Database, projection: Projection
) -> None:
    dsn = make_conninfo(database.score_runtime_dsn, options="-c client_min_messages=error")
    async with pool.Database.open(PoolSettings(dsn)) as silent:
        said = await checks_of(Ledger(silent), projection)["record"]()
    assert said == "may hide that a standby lacks an award: client_min_messages = error"


@pytest.fixture
async def proxy(free_port: Callable[[], int]) -> AsyncIterator[Proxy]:
    """Return a proxy before nothing, which closes each connection at once."""
    proxy = Proxy(f"127.0.0.1:{free_port()}")
    await proxy.start()
    yield proxy
    await proxy.stop()


async def report(service: ScoreService) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(timeout=60) as client:
        response = await client.get(f"{service.admin_url}/readyz")
    return response.status_code, response.json()


def address_of(url: str) -> str:
    return url.partition("@")[2].partition("/")[0] or url.partition("//")[2].partition("/")[0]


async def test_without_postgresql_at_the_start_it_stays_up_reports_so_and_gets_ready_by_itself(
    start_score_service: StartScoreService, proxy: Proxy, database: Database
) -> None:
    url = database.logins["score_runtime"].url
    address = address_of(url)
    service = await start_score_service(
        ready=False, database_dsn=url.replace(address, f"127.0.0.1:{proxy.port}")
    )

    async def is_told() -> bool:
        return await report(service) == (
            503,
            {"status": "not ready", "missing": {"record": "is unavailable"}},
        )

    await eventually(is_told)
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(f"{service.admin_url}/livez")).status_code == 200
    proxy.upstream = address
    await eventually(service.is_ready)
    assert await report(service) == (200, {"status": "ready", "missing": {}})


async def test_without_redis_at_the_start_it_serves_and_reports_so(
    start_score_service: StartScoreService,
    connect: Any,
    backend_certificate: Any,
    proxy: Proxy,
    redis_login: Login,
) -> None:
    address = address_of(redis_login.url)
    service = await start_score_service(redis_url=redis_login.url.replace(address, f"127.0.0.1:{proxy.port}"))
    assert await report(service) == (200, {"status": "ready", "missing": {"projection": "is unavailable"}})
    stubs = connect(service, backend_certificate)
    made = (await stubs.score.AwardPoints(award_request())).result
    assert not made.HasField("rank")
    proxy.upstream = address

    async def nothing_is_missing() -> bool:
        return await report(service) == (200, {"status": "ready", "missing": {}})

    await eventually(nothing_is_missing)


async def test_awards_go_on_when_redis_becomes_unavailable_later(
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
    first = award_request()

    async def is_ranked() -> bool:
        return bool((await stubs.score.AwardPoints(first)).result.rank == 1)

    await eventually(is_ranked)
    proxy.upstream = "127.0.0.1:1"
    proxy.reset()

    async def is_noticed() -> bool:
        return await report(service) == (
            200,
            {"status": "ready", "missing": {"projection": "is unavailable"}},
        )

    await eventually(is_noticed)
    parts = ("record", "projection")
    assert [await service.metric("laurel_part_up", part=part) for part in parts] == [1, 0]
    made = (await stubs.score.AwardPoints(award_request())).result
    assert made.total == 20
    assert not made.HasField("rank")
