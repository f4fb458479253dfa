"""The second port: probes and metrics over plain HTTP, and nothing else."""

import asyncio
import signal

import httpx2 as httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from tests.fixtures.services.score_service import ScoreService

from service_runtime.errors import SetupError
from service_runtime.http.admin import LISTENER, create_app
from service_runtime.http.http_listener import address_of, bind, serve
from service_runtime.readiness import Readiness
from service_runtime.settings import Address

ANYWHERE = Address("127.0.0.1", 0)


async def get(service: ScoreService, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.request(method, service.admin_url + path)


def started(kind: str, service: str, method: str) -> str:
    labels = f'grpc_method="{method}",grpc_service="{service}",grpc_type="{kind}"'
    return f"grpc_server_started_total{{{labels}}} 0.0"


async def test_livez_answers(score_service: ScoreService) -> None:
    response = await get(score_service, "/livez")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_readyz_reports_that_nothing_is_missing(score_service: ScoreService) -> None:
    response = await get(score_service, "/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "missing": {}})


async def test_readyz_turns_as_soon_as_the_service_stops(score_service: ScoreService) -> None:
    await score_service.running.readiness.stop()
    response = await get(score_service, "/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "missing": {"process": "is stopping"}}


async def test_metrics_can_be_scraped_and_every_method_is_there_before_its_first_call(
    score_service: ScoreService,
) -> None:
    response = await get(score_service, "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    for name in (
        started("unary", "score_api.v1.ScoreService", "AwardPoints"),
        started("server_stream", "score_api.v1.LeaderboardService", "WatchLeaderboard"),
        started("unary", "grpc.health.v1.Health", "Check"),
        "laurel_awards_total 0.0",
        "laurel_award_replays_total 0.0",
        'laurel_rejected_total{reason="QUOTA_EXCEEDED"} 0.0',
        "laurel_projection_lag_revisions 0.0",
        "laurel_watchers 0.0",
        "laurel_ready 1.0",
        'laurel_build_info{version="0.1.0"} 1.0',
    ):
        assert f"\n{name}\n" in response.text
    assert "\nprocess_resident_memory_bytes " in response.text
    assert "\nlaurel_tasks " in response.text


async def test_nothing_else_is_there(score_service: ScoreService) -> None:
    for path in ("/", "/livez/x", "/metrics/../etc/passwd", "/docs", "/%00"):
        assert (await get(score_service, path)).status_code == 404


async def test_nothing_can_be_changed(score_service: ScoreService) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        for method in ("POST", "PUT", "DELETE"):
            response = await get(score_service, path, method)
            assert response.status_code == 405
            assert "GET" in response.headers["allow"]


@pytest.fixture
def readiness() -> Readiness:
    gauge = Gauge("ready", "Whether ready.", registry=CollectorRegistry())
    return Readiness({}, gauge, required="store")


async def test_the_signals_of_the_process_are_left_alone(readiness: Readiness) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    app = create_app(readiness, CollectorRegistry())
    async with serve(app, bind(ANYWHERE), LISTENER) as listener, httpx.AsyncClient(timeout=60) as client:
        await client.get(f"http://{listener.address}/livez")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_it_stops_at_once_also_with_a_connection_open(readiness: Readiness) -> None:
    async with serve(create_app(readiness, CollectorRegistry()), bind(ANYWHERE), LISTENER) as listener:
        address = listener.address
        _, writer = await asyncio.open_connection(address.host, address.port)
        async with httpx.AsyncClient(timeout=60) as client:
            await client.get(f"http://{address}/livez")
    writer.close()
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(timeout=60) as client:
            await client.get(f"http://{address}/livez")


def test_a_taken_address_is_an_error() -> None:
    with bind(ANYWHERE) as taken, pytest.raises(SetupError, match="in use"):
        bind(address_of(taken))
