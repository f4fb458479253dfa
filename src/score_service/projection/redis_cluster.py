"""The primaries of a Redis cluster, and which of them has which slot.

What a cluster said of its slots holds until a server says otherwise or is unavailable. Then any server is
asked again, by one caller for all who wait.

redis-py's own client for clusters does not do, as of 8.1:
- It sends ASKING and the command that it stands for on different connections of a pool, so a slot that is
  being moved is not found (redis-py issue 4015; pull request 4214 mends it).
- It fails on a node without slots, and what goes wrong with one command closes the connections of all others.
Once both are released, this module can go.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError

from score_service.errors import ProjectionUnavailableError
from score_service.projection.breaker import Breaker
from score_service.projection.redis_servers import Server, Servers
from service_runtime.redis.slots import find_hash_tag

_Address = tuple[str, int]


class Cluster(Servers):
    """The primaries of a cluster."""

    def __init__(
        self, seeds: Iterable[_Address], connect: Callable[[str, int], Server], timeout: float
    ) -> None:
        """Take some of its nodes, how to connect to one, and how many seconds one may take to be asked."""
        self._connect = connect
        self._timeout = timeout
        self._servers = dict[_Address, Server]()
        self._seeds = frozenset(seeds)
        for seed in self._seeds:
            self._at(*seed)
        self._owners: list[Server | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._gaps = Breaker(time.monotonic)
        self._is_stale = True
        self._learning: asyncio.Task[None] | None = None

    async def find(self, key: str, give_up_at: float) -> Server:
        """Return which server has the slot of a key, as far as is known."""
        if self._is_stale:
            await self._learn(give_up_at)
        server = self._owners[key_slot(key.encode())]
        if server is None:
            if self._gaps.admit():  # It is worth to ask again, but not for each of many.
                self._gaps.fail()
                self._mark_stale()
            raise ProjectionUnavailableError
        return server

    async def list_primaries(self, give_up_at: float) -> Sequence[Server]:
        """List the servers that have slots."""
        if self._is_stale:
            await self._learn(give_up_at)
        primaries = [server for server in {*self._owners} if server]
        if not primaries:
            raise ProjectionUnavailableError
        return primaries

    def name_key(self, server: Server, name: str) -> str:
        """Return the name with a hash tag of a slot of the server; of any slot if it has none now."""
        slot = self._owners.index(server) if server in self._owners else 0
        return f"{name}{{{find_hash_tag(slot)}}}"

    def follow(self, redirect: AskError, server: Server) -> Server:
        """Return the server that is pointed to, and let it have the slot if that has moved."""
        target = self._at(redirect.host or server.host, redirect.port)
        if isinstance(redirect, MovedError):
            self._owners[redirect.slot_id] = target
            self._mark_stale()
        return target

    async def close(self) -> None:
        """Close all connections."""
        if self._learning:
            self._learning.cancel()
            await asyncio.wait([self._learning])
        for server in self._servers.values():
            await server.close()

    def _mark_stale(self) -> None:
        """Ask again before the next operation."""
        self._is_stale = True

    async def _learn(self, give_up_at: float) -> None:
        """Ask which server has which slots. Where none answers soon, the former answer stays."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._refresh_slots(), name="slots", context=Context())
        left = give_up_at - asyncio.get_running_loop().time()
        # The rest is for the operation, on a server that may be there.
        done, _ = await asyncio.wait([self._learning], timeout=max(0, left / 2))
        for task in done:
            task.result()

    async def _refresh_slots(self) -> None:
        for server in random.sample([*self._servers.values()], len(self._servers)):
            with suppress(ProjectionUnavailableError):
                async with server.reached(asyncio.get_running_loop().time() + self._timeout):
                    ranges = await server.client.execute_command("CLUSTER SLOTS")
                if ranges:
                    await self._take(server, ranges)
                    return

    async def _take(self, told_by: Server, ranges: Sequence[Any]) -> None:
        """Take over what a server said of all slots, and leave the servers that have none any more."""
        owners: list[Server | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_ in ranges:
            # A node that does not know its own address leaves it out.
            owners[first : last + 1] = [self._at(host or told_by.host, port)] * (last + 1 - first)
        self._owners, self._is_stale = owners, False
        used = {*owners}
        for address, server in list(self._servers.items()):
            if server not in used and address not in self._seeds:
                del self._servers[address]
                await server.close()

    def _at(self, host: str, port: int) -> Server:
        server = self._servers.get((host, port))
        if server is None:
            server = self._servers[host, port] = self._connect(host, port)
            server.on_loss = self._mark_stale
        return server
