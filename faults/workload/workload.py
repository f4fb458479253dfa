"""Users of a stack: backends that award, players, readers, watchers, and sockets. All they see is recorded.

Everything happens in one process, on one event loop and one clock. A failure of the stack is an outcome; a
failure of the workload itself ends the run with its exception.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Self

from faults.backends.backend import Backend
from faults.backends.backends import Backends
from faults.backends.memory import Memory
from faults.backends.moderators import Moderators
from faults.backends.readers import Readers
from faults.cluster.actions import read_instants
from faults.cluster.endpoints import Endpoints
from faults.deadlines import within
from faults.load.load import Load
from faults.model.history import History
from faults.players.bearers import Bearers
from faults.players.gateway_client import GatewayClient
from faults.players.players import Players
from faults.players.redeemer import Redeemer
from faults.players.ticket import Issuer
from faults.workload.pace import Pace
from faults.workload.streams import Streams
from score_client import ScoreClient

_QUIESCE_SECONDS: Final = 30.0
_END_SECONDS: Final = 60.0


class Workload:
    """All users of one stack, at work once."""

    def __init__(self, endpoints: Endpoints, history: History, randomness: random.Random, load: Load) -> None:
        self._endpoints = endpoints
        self._history = history
        self._randomness = randomness
        self._load = load
        self._clients: list[ScoreClient] = []
        self._streams = Streams(history, randomness, load)
        self._paces: list[Pace] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Have all users at work until the end of the block; calls under way then are left.

        Raises ExceptionGroup, out of whatever the block is doing, when the workload itself fails.
        """
        failure: Exception | None = None
        async with AsyncExitStack() as ending, AsyncExitStack() as clients:
            await self._open(clients)
            async with asyncio.TaskGroup() as group:
                works = [one.run() for one in (*self._paces, *self._streams.all())]
                tasks = [group.create_task(work) for work in works]
                try:
                    yield self
                except Exception as error:  # noqa: BLE001 - raised below, as it is and not in a group
                    failure = error
                finally:
                    await ending.enter_async_context(within(_END_SECONDS, "all clients to end"))
                for task in tasks:
                    task.cancel()
        if failure:
            raise failure

    async def quiesce(self) -> None:
        """Ask for no more and wait for every call's end. Streams stay open, and no watcher leaves.

        Everything has to be healed: those who do not know an outcome ask on until they do.

        Raises:
            TimeoutError: Some calls have not ended after half a minute.
        """
        self._streams.remain()
        for pace in self._paces:
            pace.stop()
        async with asyncio.timeout(_QUIESCE_SECONDS):
            for pace in self._paces:
                await pace.ended()

    async def settle(self, heads: Mapping[str, str], within: float) -> list[str]:
        """Wait until every stream shows its board as it is at its head, for some seconds at most.

        Takes the positions of the heads by board, and names the streams that do not show it.
        """
        return await self._streams.settle(self._clients[0], heads, within)

    async def _open(self, clients: AsyncExitStack) -> None:
        load, randomness = self._load, self._randomness
        for credentials in self._endpoints.backends:
            client = ScoreClient(
                self._endpoints.score_target, credentials=credentials, server_name=self._endpoints.server_name
            )
            self._clients.append(await clients.enter_async_context(client))
        gateway, *others = map(GatewayClient.to, (self._endpoints.gateway_url, *self._endpoints.gateway_urls))
        for one in (gateway, *others):
            await clients.enter_async_context(one.http)
        named = [Backend(f"backend-{n}", client, self._history) for n, client in enumerate(self._clients, 1)]
        memory, issuers_file = Memory(randomness), self._endpoints.issuers_file
        players = Players(gateway, self._history, randomness, load)
        bearers = Bearers(
            players.choose,
            read_instants(),
            (gateway, *others),
            Redeemer("bearer", self._history),
            randomness,
            Issuer.read(issuers_file) if issuers_file else None,
        )
        backends = Backends(named, memory, randomness, load, players.user_ids)
        moderators = Moderators(named, memory, randomness)
        readers = Readers(named, memory, randomness, load)
        self._streams.watch(self._clients, backends.users)
        self._streams.subscribe(self._clients)
        self._streams.follow(gateway, players.regulars)
        self._paces = [
            Pace("award", load.awards_per_second, backends.act, load.pending_max),
            Pace("correct", load.corrections_per_second, moderators.act, load.moderators),
            Pace("read", load.reads_per_second, readers.act, load.pending_max),
            Pace("play", load.completes_per_second, players.act, load.pending_max),
            Pace("redeem", load.tickets_per_second, bearers.act, load.pending_max),
        ]
