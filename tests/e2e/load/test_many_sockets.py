"""Thousands of open sockets: most are idle, many have stalled, and the live ones receive every change."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fixtures.clients.browser import Browser, edge, join, receive_event
from tests.fixtures.clients.wire import IdleSocket, wire
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.stack import Stack, target_of
from tests.fixtures.services.watching import memory_of, metric_of

IDLE, STALLED, AWARDS = 5_000, 1_000, 5
DRIPPING = 200
PAUSE_SECONDS = 0.05
ROOM_FOR_FILES = 1_000
KIBIBYTES_A_SOCKET = 100


def counts() -> tuple[int, int]:
    """Return how many idle and how many stalled sockets this machine can open, at most as many as wanted."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    share = min(1.0, (soft - ROOM_FOR_FILES) / (IDLE + STALLED))
    assert share > 0, f"{soft} open files are too few for any of this"
    return int(IDLE * share), int(STALLED * share)


@asynccontextmanager
async def sockets(player: Browser, count: int, *, stalls: bool) -> AsyncIterator[list[IdleSocket]]:
    """Keep so many WebSockets open, each of which has received the initial state."""
    host, _, port = player.address.rpartition(":")
    opened: list[IdleSocket] = []
    try:
        for first in range(0, count, 100):
            for _ in range(min(100, count - first)):
                opened.append(IdleSocket(player.token, stalls=stalls))
                await asyncio.get_running_loop().create_connection(lambda: opened[-1], host, int(port))
            await asyncio.gather(*(socket.began for socket in opened[first:]))
        yield opened
    finally:
        for socket in opened:
            socket.transport.abort()


async def test_thousands_of_idle_or_stalled_sockets_do_not_delay_changes_to_a_live_one(stack: Stack) -> None:
    idle, stalled = counts()
    service = await stack.start_score_service()
    gateway = await stack.start_gateway(target_of(service), max_sockets_per_user=idle + stalled + 1)
    async with edge(gateway.addresses["http"]) as http:
        player = await join(http, "ada")
        before = memory_of(gateway)
        async with (
            sockets(player, stalled, stalls=True) as dead,
            sockets(player, idle, stalls=False) as listening,
            player.socket() as live,
        ):
            await receive_event(live, "leaderboard:initial")
            for number in range(1, AWARDS + 1):
                done = await player.complete(await player.start("quick"), "yes")
                assert done.json()["newTotalScore"] == 5 * number
                while (await receive_event(live, "score:update"))["newScore"] < 5 * number:
                    pass
            assert await metric_of(gateway, "gateway_sockets") >= idle + 1
            assert all(socket.is_open for socket in listening)
            assert {socket.messages for socket in dead} == {1}
            grown = memory_of(gateway) - before
            assert grown < (idle + stalled) * KIBIBYTES_A_SOCKET * 1024

        async def are_gone() -> bool:
            return await metric_of(gateway, "gateway_sockets") == 0

        await eventually(are_gone)
        async with player.socket() as again:
            await receive_event(again, "leaderboard:initial")


async def test_slow_requests_are_closed_and_do_not_block_others(stack: Stack) -> None:
    service = await stack.start_score_service()
    # The player below asks as long as it drips: on a busy machine, more often than players may at first.
    gateway = await stack.start_gateway(
        target_of(service),
        header_seconds=2,
        max_requests=8,
        starts_per_minute=1_000_000,
        completes_per_minute=1_000_000,
    )
    address = gateway.addresses["http"]
    headers = [b"GET /livez HTTP/1.1\r\nX: ", b"POST /api/v1/auth/login HTTP/1.1\r\nHost: laurel\r\n"]
    slow_body = (
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: laurel\r\nContent-Type: application/json\r\n"
        b'Content-Length: 10000\r\n\r\n{"username": "'
    )

    async def drip(beginning: bytes) -> bytes:
        """Send a byte now and then until the server closes the connection; return its answer."""
        async with wire(address) as connection:
            connection.writer.write(beginning)
            reply = asyncio.ensure_future(connection.reader.read())
            while not reply.done():
                connection.writer.write(b"x")
                await asyncio.wait([reply], timeout=0.2)
            return b"" if reply.exception() else reply.result()

    beginnings = [*headers * (DRIPPING // 4), *[slow_body] * (DRIPPING // 2)]
    dripping = asyncio.gather(*map(drip, beginnings))
    async with edge(address) as http:
        player = await join(http, "ada")
        while not dripping.done():
            assert (await player.complete(await player.start("quick"), "yes")).status_code == 200
            await asyncio.sleep(PAUSE_SECONDS)
        said = await dripping
        assert set(said[: DRIPPING // 2]) == {b""}
        assert all(not words or words.startswith(b"HTTP/1.1 408") for words in said[DRIPPING // 2 :])
        assert (await http.get("/leaderboard", headers=player.headers)).status_code == 200
