"""Restarts under load, one replica after the other: no call fails, and watchers end where they should."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import pytest
from tests.fixtures.clients.browser import Browser, edge, join
from tests.fixtures.servers.postgres import Database
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.load import StackUnderLoad, under_load
from tests.fixtures.services.processes import RunningService
from tests.fixtures.services.stack import Stack, target_of_all

from faults.network.balancer import Balancer, Upstream

RESTARTS = 5
PLAYERS = 3
PATIENCE = 30.0
"""Seconds for one call: a machine that is busy with other tests is slow, and no test of time."""


@dataclass(slots=True)
class Replicas:
    """Processes that are alike, of which one at a time is stopped and started again."""

    start: Callable[[int], Awaitable[RunningService]]
    running: list[RunningService] = field(default_factory=list)

    async def start_all(self, count: int) -> None:
        for number in range(count):
            self.running.append(await self.start(number))

    async def restart(self, number: int) -> None:
        """Stop one in order, and start it again."""
        assert await asyncio.to_thread(self.running[number].stop) == 0, self.running[number].log()[-2000:]
        self.running[number] = await self.start(number)


@dataclass(slots=True)
class Restarts:
    """A whole stack of two replicas each, under load."""

    services: Replicas
    gateways: Replicas
    stack: StackUnderLoad

    async def roll(self, replicas: Replicas, count: int) -> None:
        """Restart one after the other, each while there is load."""
        for number in itertools.islice(itertools.cycle(range(len(replicas.running))), count):
            await self.stack.pass_some_load()
            await replicas.restart(number)
        await self.stack.pass_some_load()


@pytest.fixture
async def restarts(stack: Stack, database: Database, free_port: Callable[[], int]) -> AsyncIterator[Restarts]:
    async with AsyncExitStack() as opened:
        services = Replicas(partial(start_service, stack, [free_port(), free_port()]))
        await services.start_all(2)
        target = target_of_all(*services.running)
        balancer = Balancer(patience=PATIENCE)
        await balancer.start()
        opened.push_async_callback(balancer.stop)
        gateways = Replicas(partial(start_gateway, stack, balancer, target, {}))
        await gateways.start_all(2)
        client = stack.client(target, server_name="localhost", timeout=PATIENCE)
        players = [await enter(opened, balancer, f"player{number}") for number in range(PLAYERS)]
        load = under_load(await opened.enter_async_context(client), database, players)
        yield Restarts(services, gateways, await opened.enter_async_context(load))


async def start_service(stack: Stack, ports: list[int], number: int) -> RunningService:
    return await stack.start_score_service(listen=f"127.0.0.1:{ports[number]}", drain_seconds=1)


async def start_gateway(
    stack: Stack, balancer: Balancer, target: str, known: dict[int, Upstream], number: int
) -> RunningService:
    gateway = await stack.start_gateway(
        target, score_server_name="localhost", score_timeout_seconds=PATIENCE, drain_seconds=1
    )
    if number in known:
        balancer.remove(known[number])
    known[number] = Upstream(gateway.addresses["http"], gateway.addresses["admin"])
    balancer.add(known[number])
    await eventually(partial(is_taken_up, balancer, known[number]))
    return gateway


async def is_taken_up(balancer: Balancer, upstream: Upstream) -> bool:
    return upstream in balancer.ready


async def enter(opened: AsyncExitStack, balancer: Balancer, name: str) -> Browser:
    """Let a player in, with a keep-alive connection of their own."""
    return await join(await opened.enter_async_context(edge(balancer.address)), name)


async def test_score_services_restarted_one_after_the_other_fail_no_call(restarts: Restarts) -> None:
    await restarts.roll(restarts.services, RESTARTS)
    await restarts.stack.settle()


async def test_gateways_restarted_one_after_the_other_fail_no_player(restarts: Restarts) -> None:
    await restarts.roll(restarts.gateways, RESTARTS)
    await restarts.stack.settle()

    # Five restarts of two, and each socket was on one of them.
    assert sum(socket.returns for socket in restarts.stack.load.sockets.values()) >= PLAYERS
