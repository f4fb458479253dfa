"""Whether a gateway is ready, and what it says is missing."""

import asyncio
from typing import Any

import psycopg
import pytest
from tests.fixtures.network.proxy import Proxy
from tests.fixtures.servers.postgres import Database, accepting_no_writes
from tests.fixtures.servers.rejecting_redis import REASONS, RejectingRedis
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import StartGateway
from tests.fixtures.services.score_service import ScoreService, StartScoreService

from local_stack.servers.valkey import ValkeyServer


async def test_a_gateway_with_all_its_parts_is_ready_on_both_ports(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    gateway = await start_gateway(score_target=score_service.target)
    for url in (gateway.url, gateway.admin_url):
        ready = await gateway.http.get(f"{url}/readyz")
        alive = await gateway.http.get(f"{url}/livez")

        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "missing": {}})
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (await gateway.http.get("/metrics")).status_code == 404


async def test_a_gateway_starts_without_any_part_and_says_what_is_missing(
    start_gateway: StartGateway, free_port: Any
) -> None:
    gateway = await start_gateway(
        ready=False,
        score_target=f"dns:///localhost:{free_port()}",
        database_dsn=f"postgresql://gateway_runtime@127.0.0.1:{free_port()}/nothing",
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
    )

    async def all_missing() -> bool:
        response = await gateway.http.get("/readyz")
        assert response.status_code == 503
        return set(response.json()["missing"]) == {
            "database",
            "redis",
            "score_service",
            "leaderboard",
        }

    await eventually(all_missing)
    assert (await gateway.http.get("/livez")).status_code == 200


async def test_the_name_of_the_score_service_can_differ_from_the_target(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    port = score_service.target.rpartition(":")[2]

    gateway = await start_gateway(
        score_target=f"ipv4:127.0.0.1:{port},127.0.0.1:{port}", score_server_name="localhost"
    )

    assert (await gateway.http.get("/readyz")).json() == {"status": "ready", "missing": {}}


async def test_it_becomes_ready_when_the_score_service_is_available(
    start_gateway: StartGateway, start_score_service: StartScoreService, free_port: Any
) -> None:
    port = free_port()
    gateway = await start_gateway(ready=False, score_target=f"dns:///localhost:{port}")

    async def only_that_is_missing() -> bool:
        response = await gateway.http.get("/readyz")
        assert response.status_code == 503
        return set(response.json()["missing"]) == {"score_service", "leaderboard"}

    await eventually(only_that_is_missing)
    await start_score_service(listen=f"127.0.0.1:{port}")
    await eventually(gateway.is_ready)


async def test_a_part_that_fails_and_recovers_is_reported(
    start_gateway: StartGateway,
    score_service: ScoreService,
    start_proxy: Any,
    gateway_settings: dict[str, Any],
) -> None:
    dsn = psycopg.conninfo.conninfo_to_dict(gateway_settings["database_dsn"])
    proxy: Proxy = await start_proxy(f"{dsn['host']}:{dsn['port']}")
    through = psycopg.conninfo.make_conninfo(gateway_settings["database_dsn"], port=proxy.port)
    gateway = await start_gateway(score_target=score_service.target, database_dsn=through)

    async def database_is_missing() -> bool:
        response = await gateway.http.get("/readyz")
        report = {"status": "not ready", "missing": {"database": "is unavailable"}}
        return (response.status_code, response.json()) == (503, report)

    proxy.hold()
    await eventually(database_is_missing)
    proxy.reset()
    proxy.release()
    await eventually(gateway.is_ready)


async def test_a_gateway_stays_ready_without_redis_and_reports_it(
    start_gateway: StartGateway,
    score_service: ScoreService,
    start_proxy: Any,
    valkey_server: ValkeyServer,
) -> None:
    proxy: Proxy = await start_proxy(f"127.0.0.1:{valkey_server.port}")
    through = f"redis://127.0.0.1:{proxy.port}/0"
    gateway = await start_gateway(score_target=score_service.target, redis_url=through)
    await proxy.stop()

    async def is_reported(url: str) -> bool:
        response = await gateway.http.get(f"{url}/readyz")
        assert response.status_code == 200
        return bool(response.json() == {"status": "ready", "missing": {"redis": "is unavailable"}})

    await eventually(lambda: is_reported(gateway.url))
    await eventually(lambda: is_reported(gateway.admin_url))
    metrics = (await gateway.http.get(f"{gateway.admin_url}/metrics")).text
    assert 'gateway_part_up{part="redis"} 0.0' in metrics
    assert 'gateway_part_up{part="database"} 1.0' in metrics
    response = await (await gateway.player()).post("/actions/start", {"actionId": "quick"})
    assert response.status_code == 200


@pytest.mark.parametrize("way", REASONS)
async def test_a_redis_that_rejects_to_count_is_reported_and_players_go_on(
    start_gateway: StartGateway, score_service: ScoreService, rejecting_redis: RejectingRedis, way: str
) -> None:
    login = rejecting_redis.login
    gateway = await start_gateway(
        score_target=score_service.target, redis_url=login.url, redis_password_file=login.password_file
    )
    player = await gateway.player()
    await rejecting_redis.reject(way)

    async def is_reported() -> bool:
        response = await gateway.http.get("/readyz")
        report = {"status": "ready", "missing": {"redis": REASONS[way]}}
        return (response.status_code, response.json()) == (200, report)

    await eventually(is_reported)
    metrics = (await gateway.http.get(f"{gateway.admin_url}/metrics")).text
    assert 'gateway_part_up{part="redis"} 0.0' in metrics
    assert (await player.post("/actions/start", {"actionId": "quick"})).status_code == 200

    await rejecting_redis.accept(way)

    async def is_whole() -> bool:
        return bool((await gateway.http.get("/readyz")).json()["missing"] == {})

    await eventually(is_whole)


async def test_an_old_schema_is_distinguished_from_an_unavailable_database(
    start_gateway: StartGateway, score_service: ScoreService, database: Database
) -> None:
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        connection.execute("UPDATE gateway.alembic_version SET version_num = '0000'")
    gateway = await start_gateway(ready=False, score_target=score_service.target)

    async def schema_is_old() -> bool:
        missing = (await gateway.http.get("/readyz")).json().get("missing", {})
        return "old schema" in missing.get("database", "")

    await eventually(schema_is_old)
    with psycopg.connect(database.gateway_owner_dsn) as connection:
        connection.execute("UPDATE gateway.alembic_version SET version_num = '0999'")
    await eventually(gateway.is_ready)


async def test_a_database_that_accepts_no_writes_is_reported_before_one_fails(
    start_gateway: StartGateway, score_service: ScoreService, database: Database
) -> None:
    dsn = f"{database.logins['gateway_runtime'].url}?target_session_attrs=any"
    gateway = await start_gateway(score_target=score_service.target, database_dsn=dsn)

    async def is_reported() -> bool:
        response = await gateway.http.get("/readyz")
        report = {"status": "not ready", "missing": {"database": "accepts no writes"}}
        return (response.status_code, response.json()) == (503, report)

    with accepting_no_writes(database.admin_dsn):
        await eventually(is_reported)
        metrics = (await gateway.http.get(f"{gateway.admin_url}/metrics")).text
        assert 'gateway_part_up{part="database"} 0.0' in metrics
    await eventually(gateway.is_ready)


async def test_a_gateway_that_drains_is_not_ready(
    start_gateway: StartGateway, score_service: ScoreService
) -> None:
    gateway = await start_gateway(score_target=score_service.target)
    await gateway.running.stop(asyncio.Event())
    response = await gateway.http.get("/readyz")

    assert response.status_code == 503
    assert response.json()["missing"] == {"process": "is stopping"}
