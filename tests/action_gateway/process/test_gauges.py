"""The gauges of the parts of the gateway."""

from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.gateway import StartGateway


async def test_the_metrics_show_the_use_and_the_limit_of_each_resource(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(
        ready=False,
        score_target="dns:///localhost:1",
        max_requests=11,
        max_sockets=12,
        max_connections=13,
        password_workers=1,
        password_queue=13,
        database_connections=15,
    )

    assert await gateway.metric("gateway_requests_max") == 11
    assert await gateway.metric("gateway_sockets_max") == 12
    assert await gateway.metric("gateway_connections_max") == 13
    assert await gateway.metric("gateway_passwords_max") == 14
    assert await gateway.metric("gateway_database_connections_max") == 15

    async def is_idle() -> bool:
        names = ("passwords_under_way", "database_waiting", "connections")
        return [await gateway.metric(f"gateway_{name}") for name in names] == [0, 0, 0]

    # The first checks may still wait for a connection.
    await eventually(is_idle)
    await gateway.http.get("/livez")
    assert await gateway.metric("gateway_connections") == 1
