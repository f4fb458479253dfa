"""Restarts under load, one replica after the other: no call fails, and whoever watches ends where it should.

Whatever the load is told beside a good answer fails the test: an error, a refusal, a connection that breaks.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from tests.fixtures.browser import Browser, edge, join
from tests.fixtures.postgres import Database
from tests.fixtures.processes import RunningService
from tests.fixtures.record import award, check_ranks, check_record, read_ledger
from tests.fixtures.stack import Stack, target_of_all
from tests.fixtures.stores import eventually
from websockets.exceptions import ConnectionClosed

from faults.balancer import Balancer, Upstream
from score_client import AwardResult, ScoreClient, Snapshot, Update

RESTARTS = 5
BACKENDS, PLAYERS = 4, 3
TOP = 10
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
class Load:
    """Backends, readers, players and watchers that go on until they are told to stop."""

    client: ScoreClient
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    made: list[tuple[str, AwardResult]] = field(default_factory=list)
    """Users and what their awards were told, in order."""
    paid: list[tuple[str, int]] = field(default_factory=list)
    """Users and the totals that they were told, in order."""
    reads: int = 0
    watched: dict[str, int] = field(default_factory=dict)
    top: list[tuple[str, int]] = field(default_factory=list)
    sockets: dict[str, "Socket"] = field(default_factory=dict)

    async def give(self, user_id: str) -> None:
        while not self.stopped.is_set():
            self.made.append((user_id, await award(self.client, user_id)))
            await asyncio.sleep(0.02)

    async def read(self) -> None:
        """Read what was written: at least what the newest award led to."""
        while not self.stopped.is_set():
            _, newest = self.made[-1]
            view = await self.client.top(board_id="main", min_revision=newest.revision)
            assert view.revision >= newest.revision
            self.reads += 1
            await asyncio.sleep(0.02)

    async def watch(self) -> None:
        async for event in self.client.watch(board_id="main", top_n=TOP, all_scores=True):
            if isinstance(event, Snapshot | Update) and event.top is not None:
                self.top = [(standing.user_id, standing.total) for standing in event.top]
            if isinstance(event, Snapshot):
                self.watched = ({} if event.reset else self.watched) | dict(self.top)
            if isinstance(event, Update):
                self.watched.update({standing.user_id: standing.total for standing in event.scores})

    async def play(self, player: Browser) -> None:
        while not self.stopped.is_set():
            done = await player.complete(await player.start("quick"), "yes")
            assert done.status_code == 200, done.text
            self.paid.append((player.user_id, done.json()["newTotalScore"]))
            await asyncio.sleep(0.05)

    async def listen(self, player: Browser) -> None:
        socket = self.sockets[player.user_id] = Socket()
        while True:
            await socket.follow(player)


@dataclass(slots=True)
class Socket:
    """The WebSocket of a page: it comes back whenever the server sends it away."""

    score: int = -1
    top: list[tuple[str, int]] = field(default_factory=list)
    returns: int = 0

    async def follow(self, player: Browser) -> None:
        async with player.socket() as connection:
            try:
                async for text in connection:
                    self.hear(json.loads(text))
            except ConnectionClosed as closed:
                self.leave(closed)

    def leave(self, closed: ConnectionClosed) -> None:
        assert closed.rcvd is not None, "the connection broke"
        assert closed.rcvd.code == 1012, closed
        self.returns += 1

    def hear(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if "leaderboard" in data:
            self.top = [(row["userId"], row["score"]) for row in data["leaderboard"]]
        if message["event"] == "leaderboard:initial":
            self.score = data["me"]["score"]
        if message["event"] == "score:update":
            self.score = data["newScore"]


@dataclass(slots=True)
class Restarts:
    """A whole stack of two replicas each, under load."""

    services: Replicas
    gateways: Replicas
    load: Load
    database: Database
    working: list["asyncio.Task[None]"]
    following: list["asyncio.Task[None]"]

    async def roll(self, replicas: Replicas, count: int) -> None:
        """Restart one after the other, each while there is load."""
        for number in itertools.islice(itertools.cycle(range(len(replicas.running))), count):
            await self.pass_some_load()
            await replicas.restart(number)
        await self.pass_some_load()

    async def pass_some_load(self) -> None:
        """Wait until each kind of work was done a few times more."""
        before = self._count()

        async def has_gone_on() -> bool:
            self._check()
            return all(now >= then + 5 for now, then in zip(self._count(), before, strict=True))

        await eventually(has_gone_on)

    def _count(self) -> tuple[int, int, int]:
        return len(self.load.made), self.load.reads, len(self.load.paid)

    def _check(self) -> None:
        for task in (*self.working, *self.following):
            if task.done():
                task.result()

    async def settle(self) -> None:
        """End the work, and check that everything that was told is so and everyone has come to know."""
        self.load.stopped.set()
        await asyncio.gather(*self.working)
        standings = check_record(self.database)
        await check_ranks(self.load.client, standings)
        self._check_answers()
        await self._await_news({user_id: total for user_id, total, _ in standings})

    def _check_answers(self) -> None:
        rows = {row[1]: row for row in read_ledger(self.database)}
        assert len(rows) == len(self.load.made) + len(self.load.paid)
        for user_id, result in self.load.made:
            row = rows[result.award_id]
            assert (row[0], row[2], row[6]) == (result.revision, user_id, result.total)
            assert not result.replayed
        in_ledger = [(row[2], row[6]) for row in rows.values()]
        for user_id in self.load.sockets:
            told = [total for user, total in self.load.paid if user == user_id]
            assert told == [total for user, total in in_ledger if user == user_id]

    async def _await_news(self, totals: dict[str, int]) -> None:
        """Wait until the watch and every socket have heard how it ended."""
        top = list(totals.items())[:TOP]
        expected = [(totals, top), *((totals[user_id], top) for user_id in self.load.sockets)]

        def heard() -> list[tuple[dict[str, int] | int, list[tuple[str, int]]]]:
            sockets = self.load.sockets.values()
            return [(self.load.watched, self.load.top), *((socket.score, socket.top) for socket in sockets)]

        async def is_heard() -> bool:
            self._check()
            return heard() == expected

        with suppress(TimeoutError):
            await eventually(is_heard)
        assert heard() == expected


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
        load = Load(await opened.enter_async_context(client))
        # A board without an award cannot be watched.
        load.made.append(("first", await award(load.client, "first")))
        players = [await enter(opened, balancer, f"player{number}") for number in range(PLAYERS)]
        yield await opened.enter_async_context(under_load(services, gateways, load, database, players))


@asynccontextmanager
async def under_load(
    services: Replicas, gateways: Replicas, load: Load, database: Database, players: list[Browser]
) -> AsyncIterator[Restarts]:
    givers = [load.give(f"user{number}") for number in range(BACKENDS)]
    working = [asyncio.create_task(work) for work in (*givers, load.read(), *map(load.play, players))]
    following = [asyncio.create_task(work) for work in (load.watch(), *map(load.listen, players))]
    try:
        yield Restarts(services, gateways, load, database, working, following)
    finally:
        for task in (*working, *following):
            task.cancel()
        await asyncio.gather(*working, *following, return_exceptions=True)


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


@pytest.mark.timeout(240)
async def test_score_services_restarted_one_after_the_other_fail_no_call(restarts: Restarts) -> None:
    await restarts.roll(restarts.services, RESTARTS)
    await restarts.settle()


@pytest.mark.timeout(240)
async def test_gateways_restarted_one_after_the_other_fail_no_player(restarts: Restarts) -> None:
    await restarts.roll(restarts.gateways, RESTARTS)
    await restarts.settle()

    # Five restarts of two, and each socket was on one of them.
    assert sum(socket.returns for socket in restarts.load.sockets.values()) >= PLAYERS
