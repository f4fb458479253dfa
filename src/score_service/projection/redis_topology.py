"""Opens the servers that the settings name, in whichever topology."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from score_service.projection.redis_cluster import Cluster
from score_service.projection.redis_servers import OneServer, Server, Servers, ServersSettings
from service_runtime.redis.connections import Connector

_OPTIONS: Final[dict[str, Any]] = {
    # Every operation has one deadline of its own, see `bounded`. The client's timeouts would each start anew
    # on a retry, and before Python 3.12 the one for sending may lose a cancellation.
    "socket_timeout": None,
    "socket_connect_timeout": None,
    # One more try hides a connection that a restart has closed.
    "retry": Retry(NoBackoff(), 1),
    "decode_responses": True,
}


@asynccontextmanager
async def open_servers(settings: ServersSettings) -> AsyncIterator[Servers]:
    """Make the connection pools, whether or not Redis is available, and close them at the end."""
    url = settings.access.url
    async with AsyncExitStack() as stack:
        connector = await Connector.open(stack, settings.access, _OPTIONS, settings.timeout)

        def connect(*node: Any) -> Server:
            operations = connector.blocking_pool(settings.connections_max, settings.timeout, node or None)
            subscriptions = connector.pool(settings.subscriptions_max, node or None)
            host = node[0] if node else ""
            return Server(Redis.from_pool(operations), Redis.from_pool(subscriptions), host)

        if url.topology == "cluster":
            cluster = Cluster(url.hosts, connect, settings.timeout)
            stack.push_async_callback(cluster.close)
            yield cluster
            return
        server = connect()
        stack.push_async_callback(server.close)
        yield OneServer(server)
