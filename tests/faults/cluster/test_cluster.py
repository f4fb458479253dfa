"""A cluster: every part dies and restarts, and every connection leads through a proxy."""

import asyncio
from functools import partial
from pathlib import Path

import httpx2 as httpx
from tests.fixtures.servers.stores import eventually

from faults.cluster.builder import running_cluster
from faults.cluster.cluster import SERVICES, Cluster
from faults.nemesis.network import LINKS
from score_client import AwardResult, ScoreClient


def open_client(cluster: Cluster, backend: int = 0) -> ScoreClient:
    endpoints = cluster.endpoints
    return ScoreClient(
        endpoints.score_target,
        credentials=endpoints.backends[backend],
        server_name=endpoints.server_name,
        timeout=30,
    )


async def award(client: ScoreClient, board_id: str = "main") -> AwardResult:
    return await client.award(board_id=board_id, user_id="ada", points=5, action_type="quest", action_id="a")


async def test_every_part_dies_and_restarts_at_its_address(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster:
        assert cluster.links.keys() == set(LINKS)
        async with open_client(cluster) as client:
            assert (await award(client)).total == 5
            for member in cluster.members:
                await member.kill()
            assert not any(member.is_running or member.looks_ready() for member in cluster.members)
            for member in cluster.members:
                await member.restart()
            await cluster.until_ready()
            assert (await award(client)).total == 10
            await eventually(partial(gateways_answer, cluster))
        assert await cluster.archiver.complete() == ""
        await assert_ways(cluster)
        await assert_identities(cluster)
    assert not any(member.is_running for member in cluster.members)


async def gateways_answer(cluster: Cluster) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            urls = (cluster.endpoints.gateway_url, *cluster.endpoints.gateway_urls)
            return all([(await http.get(f"{url}/readyz")).status_code == 200 for url in urls])
        except httpx.TransportError:
            return False  # The balancer has yet to look.


async def assert_ways(cluster: Cluster) -> None:
    """Nobody goes past the proxies."""
    assert all(link.connections for link in cluster.links.values())
    ways = [cluster.links[f"{service}->postgres"] for service in SERVICES]

    async def none_is_ready() -> bool:
        looks = [asyncio.to_thread(service.looks_ready) for service in cluster.services.values()]
        return not any(await asyncio.gather(*looks))

    for way in ways:
        way.hold()
    await eventually(none_is_ready)
    for way in ways:
        way.release()
    await cluster.until_ready()


async def assert_identities(cluster: Cluster) -> None:
    """Each backend may award on any board."""
    for backend in range(len(cluster.endpoints.backends)):
        async with open_client(cluster, backend) as client:
            assert (await award(client, f"season-{backend}")).total == 5
